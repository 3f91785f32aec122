// Container logs: the CRI format, partial lines, terminals, rotation.
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <map>
#include <regex>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Logs : public PodTest {
 protected:
  Reply<v1::ReopenContainerLogResponse> Reopen(const std::string& container) {
    v1::ReopenContainerLogRequest request;
    request.set_container_id(container);
    return cri().ReopenContainerLog(request);
  }
};

TEST_P(Logs, HaveTimeStreamTagAndText) {
  const std::string pod = RunPod();
  const std::string id =
      CreateAndStart(pod, ShellConfig("main", "echo out; echo err >&2; echo; printf tail"));
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  const auto records = Log(id);
  const std::regex time(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d))");
  for (const LogRecord& record : records) {
    EXPECT_TRUE(std::regex_match(record.time, time)) << record.time;
  }
  EXPECT_EQ(TextOf(records, "stdout"), "out\n\ntail");
  EXPECT_EQ(TextOf(records, "stderr"), "err\n");
  ASSERT_FALSE(records.empty());
  EXPECT_EQ(records.back().tag, "P");  // no newline at the end
}

TEST_P(Logs, LongLinesAreWrittenInParts) {
  const std::string pod = RunPod();
  const std::string id = CreateAndStart(
      pod, ShellConfig("main", "head -c 40000 /dev/zero | tr '\\0' x; echo; echo short"));
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  const auto records = Log(id);
  size_t parts = 0;
  for (const LogRecord& record : records) {
    EXPECT_LE(record.text.size(), 16384u);
    parts += record.tag == "P";
  }
  EXPECT_GE(parts, 2u);
  EXPECT_EQ(TextOf(records, "stdout"), std::string(40000, 'x') + "\nshort\n");
}

TEST_P(Logs, OfATerminalAreAllOnStandardOutput) {
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "tty; echo err >&2; echo $TERM");
  config.set_tty(true);
  const std::string id = CreateAndStart(pod, config);
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  const auto records = Log(id);
  EXPECT_EQ(TextOf(records, "stderr"), "");
  std::string text = TextOf(records, "stdout");
  text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());
  EXPECT_NE(text.find("/dev/"), std::string::npos) << text;
  EXPECT_NE(text.find("err\nxterm\n"), std::string::npos) << text;
}

TEST_P(Logs, AfterReopenNothingIsWrittenToTheOldFileAndNothingIsLost) {
  const std::string pod = RunPod();
  const std::string id =
      CreateAndStart(pod, ShellConfig("main",
                                      "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); "
                                      "[ $((i % 100)) != 0 ] || sleep 0.02; done"));
  const std::string path = LogPath(id);
  std::string all;
  for (int rotation = 0; rotation < 3; ++rotation) {
    ASSERT_TRUE(WaitUntil([&] {
      auto content = ReadFile(path);
      return (content && content->size() > 500) || StatusOf(id).state() == v1::CONTAINER_EXITED;
    }));
    if (StatusOf(id).state() == v1::CONTAINER_EXITED) break;
    const std::string rotated = path + "." + std::to_string(rotation);
    ASSERT_EQ(rename(path.c_str(), rotated.c_str()), 0);
    auto reopened = Reopen(id);
    if (!reopened.ok()) {  // it has ended in between
      ASSERT_EQ(rename(rotated.c_str(), path.c_str()), 0);
      break;
    }
    EXPECT_TRUE(Exists(path));
    all += *ReadFile(rotated);
  }
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  all += *ReadFile(path);
  std::string expected;
  for (int i = 0; i < 3000; ++i) expected += fmt::format("line {}\n", i);
  EXPECT_TRUE(TextOf(ParseLog(all), "stdout") == expected) << all.size() << " bytes";
}

TEST_P(Logs, ReopenOfWhatDoesNotRunIsAnErrorAndMakesNoFile) {
  const std::string pod = RunPod();
  const std::string id = CreateAndStart(pod, ShellConfig("main", "true"));
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  const std::string path = LogPath(id);
  ASSERT_EQ(remove(path.c_str()), 0);
  auto reply = Reopen(id);
  EXPECT_FALSE(reply.ok());
  EXPECT_NE(reply.code(), ErrorCode::kNotFound);
  EXPECT_FALSE(Exists(path));
  EXPECT_EQ(Reopen(std::string(64, '0')).code(), ErrorCode::kNotFound);
}

TEST_P(Logs, AContainerWithoutLogPathRunsAndWritesNone) {
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "echo unseen; exit 4");
  config.clear_log_path();
  const std::string id = CreateAndStart(pod, config);
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  EXPECT_EQ(StatusOf(id).exit_code(), 4);
}

// What somebody who can write to the log's folder put there is neither waited for nor written to.
TEST_P(Logs, WhatIsNoRegularFileIsRefusedAtOnceAndReopened) {
  const std::string pod = RunPod();
  const std::string id =
      CreateAndStart(pod, ShellConfig("main", "while :; do echo line; sleep 0.05; done"));
  const std::string path = LogPath(id), victim = world().NewFolder("victim") + "/file";
  ASSERT_TRUE(ReplaceFile(victim, "mine", 0600, Durability::kProcessCrash));
  const std::map<std::string, std::function<int(const char*)>> strange = {
      {"fifo", [](const char* name) { return mkfifo(name, 0600); }},
      {"device", [](const char* name) { return mknod(name, S_IFCHR | 0600, makedev(1, 7)); }},
      {"link", [&](const char* name) { return symlink(victim.c_str(), name); }}};
  int number = 0;
  for (const auto& [name, put] : strange) {
    SCOPED_TRACE(name);
    auto config = ShellConfig(fmt::format("strange{}", ++number), "echo well");
    const std::string fresh = config_of(pod).log_directory() + "/" + config.log_path();
    ASSERT_EQ(put(fresh.c_str()), 0);
    const auto began = std::chrono::steady_clock::now();
    const auto created = TryCreate(pod, config);
    EXPECT_EQ(created.code(), ErrorCode::kFailedPrecondition) << created.message();
    EXPECT_NE(created.message().find(config.log_path()), std::string::npos) << created.message();
    ASSERT_EQ(unlink(path.c_str()), 0);
    ASSERT_EQ(put(path.c_str()), 0);
    const auto reopened = Reopen(id);
    EXPECT_EQ(reopened.code(), ErrorCode::kFailedPrecondition) << reopened.message();
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
    ASSERT_EQ(unlink(path.c_str()), 0);
    ASSERT_EQ(unlink(fresh.c_str()), 0);
    ASSERT_TRUE(Reopen(id).ok());
    EXPECT_TRUE(WaitUntil([&] { return !Log(id).empty(); }));
    EXPECT_EQ(RunToEnd(pod, config).out, "well\n");
  }
  EXPECT_EQ(ReadFile(victim).value(), "mine");
}

CATAMARAN_ON_EVERY_HANDLER(Logs);

}  // namespace
}  // namespace catamaran::e2e

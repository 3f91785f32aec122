// Logs that lose nothing: 200 MB through five rotations and a daemon's death, compared byte for
// byte; and what becomes of a log whose writer is killed.
#include <signal.h>

#include <cinttypes>
#include <filesystem>
#include <fstream>

#include "e2e/harness/pod_test.h"
#include "e2e/harness/processes.h"
#include "e2e/probe/numbered_line.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr uint64_t kLines = 2'000'000;  // of 100 bytes
constexpr uint64_t kRotateAt = 30'000'000;
constexpr int kRotations = 5;
constexpr int kKillAtRotation = 2;
// An emulated guest on a busy machine writes some megabytes a second.
constexpr std::chrono::seconds kWritingLimit{900};

class LogSurvival : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    folder_ = world().NewFolder("control");
  }

  // A container that prints numbered lines, `least` of them and on until Enough().
  std::string StartPrinting(const std::string& pod, uint64_t least) {
    auto config =
        ContainerConfig("printer", {"/bin/probe", "lines", std::to_string(least), "/control/stop"});
    auto* mount = config.add_mounts();
    mount->set_host_path(folder_);
    mount->set_container_path("/control");
    const std::string id = CreateAndStart(pod, config);
    EXPECT_EQ(StatusOf(id).state(), v1::CONTAINER_RUNNING);
    return id;
  }
  void Enough() { std::ofstream(folder_ + "/stop") << "x"; }

  static uint64_t SizeOf(const std::string& path) {
    std::error_code error;
    const auto size = std::filesystem::file_size(path, error);
    return error ? 0 : size;
  }

  // What a log file holds of the numbered lines.
  struct Content {
    uint64_t lines = 0;              // of standard output
    uint64_t malformed = 0;          // no record, or not the line that its number says
    uint64_t gaps = 0, missing = 0;  // where the numbers jump
    uint64_t tails = 0;              // ends of lines, right after a word of catamaran
    std::string errors;              // standard error
  };
  // `next` is the number due next; it goes on from file to file.
  static void Check(const std::string& path, uint64_t& next, Content& content) {
    constexpr std::string_view kOut = " stdout F ", kErr = " stderr F ";
    std::ifstream file(path);
    bool told = false;  // the last record was catamaran's
    char expected[kNumberedLineSize];
    for (std::string line; std::getline(file, line);) {
      if (const size_t at = line.find(kErr); at != std::string::npos) {
        content.errors += line.substr(at + kErr.size()) + "\n";
        told = line.find("catamaran:") != std::string::npos;
        continue;
      }
      const size_t at = line.find(kOut);
      const std::string text = at == std::string::npos ? "" : line.substr(at + kOut.size());
      const uint64_t number = strtoull(text.c_str(), nullptr, 10);
      WriteNumberedLine(number, expected);
      if (text != std::string_view(expected, sizeof expected) || number < next) {
        ++(told ? content.tails : content.malformed);
        told = false;
        continue;
      }
      content.gaps += number != next;
      content.missing += number - next;
      next = number + 1;
      told = false;
      ++content.lines;
    }
  }

 private:
  std::string folder_;
};

TEST_P(LogSurvival, LosesNothingOfTwoHundredMegabytesOverFiveRotationsAndADaemonsDeath) {
  const std::string pod = RunPod();
  const auto began = std::chrono::steady_clock::now();
  const std::string id = StartPrinting(pod, kLines);
  ASSERT_FALSE(HasFailure());
  const std::string path = LogPath(id);
  std::vector<std::string> files;
  for (int rotation = 0; rotation < kRotations; ++rotation) {
    ASSERT_TRUE(WaitUntil([&] { return SizeOf(path) > kRotateAt; }, kWritingLimit));
    if (rotation == kKillAtRotation) {
      world().daemon().Kill();
      const uint64_t size = SizeOf(path);
      EXPECT_TRUE(WaitUntil([&] { return SizeOf(path) > size; })) << "no writing without a daemon";
      auto started = world().RestartDaemon();
      ASSERT_TRUE(started) << started.error().message;
      ASSERT_TRUE(WaitForState(id, v1::CONTAINER_RUNNING));
    }
    files.push_back(path + "." + std::to_string(rotation));
    ASSERT_EQ(rename(path.c_str(), files.back().c_str()), 0);
    v1::ReopenContainerLogRequest request;
    request.set_container_id(id);
    auto reopened = cri().ReopenContainerLog(request);
    ASSERT_TRUE(reopened.ok()) << reopened.message();
  }
  files.push_back(path);
  EXPECT_TRUE(WaitUntil([&] { return SizeOf(path) > 0; })) << "it wrote until the last rotation";
  Enough();
  ASSERT_TRUE(
      WaitUntil([&] { return StatusOf(id).state() == v1::CONTAINER_EXITED; }, kWritingLimit));
  const auto end = std::chrono::steady_clock::now();
  EXPECT_EQ(StatusOf(id).exit_code(), 0);
  uint64_t next = 0;
  Content content;
  for (const std::string& file : files) {
    EXPECT_GT(SizeOf(file), 0u) << file;
    Check(file, next, content);
  }
  EXPECT_EQ(content.malformed, 0u);
  EXPECT_EQ(content.missing, 0u);
  EXPECT_GE(content.lines, kLines);
  EXPECT_EQ(content.errors, std::to_string(content.lines) + "\n");  // as many as were printed
  const double seconds = std::chrono::duration<double>(end - began).count();
  const double megabytes = static_cast<double>(content.lines) / 1e4;
  printf("logs on %s: %.0f MB in %.1f s, %.1f MB/s\n", GetParam().c_str(), megabytes, seconds,
         megabytes / seconds);
}

TEST_P(LogSurvival, AKilledLogProcessIsReplacedAndTheLogSaysWhereSomethingMayBeMissing) {
  const std::string pod = RunPod();
  const std::string neighbour = StartSleeper(pod);
  const std::string id = StartPrinting(pod, 1);
  ASSERT_FALSE(HasFailure());
  const std::string path = LogPath(id);
  ASSERT_TRUE(WaitUntil([&] { return SizeOf(path) > 1'000'000; }, kWritingLimit));
  const pid_t log = FindPodProcess(pod, "catamaran-log");
  ASSERT_GT(log, 0);
  ASSERT_EQ(kill(log, SIGKILL), 0);
  ASSERT_TRUE(WaitUntil([&] {
    const pid_t now = FindPodProcess(pod, "catamaran-log");
    return now != 0 && now != log;
  }));
  const uint64_t size = SizeOf(path);
  EXPECT_TRUE(WaitUntil([&] { return SizeOf(path) > size; })) << "the container hangs";
  Enough();
  ASSERT_TRUE(
      WaitUntil([&] { return StatusOf(id).state() == v1::CONTAINER_EXITED; }, kWritingLimit));
  EXPECT_EQ(StatusOf(id).exit_code(), 0);
  uint64_t next = 0;
  Content content;
  Check(path, next, content);
  // The dead process may have held what it had read last; all else is there, in whole records.
  EXPECT_EQ(content.malformed, 0u);
  EXPECT_LE(content.gaps, 1u);
  EXPECT_LE(content.missing * (kNumberedLineSize + 1), 128u << 10);
  EXPECT_NE(content.errors.find("catamaran:"), std::string::npos) << content.errors;
  EXPECT_NE(content.errors.find(std::to_string(content.lines + content.missing) + "\n"),
            std::string::npos)
      << content.errors;
  EXPECT_EQ(StatusOf(neighbour).state(), v1::CONTAINER_RUNNING);
  EXPECT_EQ(Output(neighbour, "echo well"), "well\n");
}

CATAMARAN_ON_EVERY_HANDLER(LogSurvival);

}  // namespace
}  // namespace catamaran::e2e

// What both networks stand on: claims, records, programs that are not ours.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "cri/base/program_run.h"
#include "cri/network/pod_claims.h"
#include "cri/network/pod_network.h"
#include "cri/network/record_folder.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;

Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

TEST(PodClaims, AreOneAtATimeForEachPod) {
  PodClaims claims;
  std::optional<PodClaims::Claim> first = claims.Take(PodId("one"), Soon()).value();
  EXPECT_TRUE(claims.Take(PodId("two"), Soon())) << "another pod waits for nobody";
  EXPECT_EQ(claims.Take(PodId("one"), Deadline::After(milliseconds(20))).error().code,
            ErrorCode::kDeadlineExceeded);
  std::thread waits([&] { EXPECT_TRUE(claims.Take(PodId("one"), Soon())); });
  first.reset();
  waits.join();
  EXPECT_TRUE(claims.Take(PodId("one"), Soon()));
}

TEST(PodClaims, AreForIdsThatCanBeFileNames) {
  PodClaims claims;
  for (const std::string& id : {std::string(), std::string("."), std::string("../x"),
                                std::string("a/b"), std::string("a b"), std::string(201, 'a')})
    EXPECT_EQ(claims.Take(PodId(id), Soon()).error().code, ErrorCode::kInvalidArgument) << id;
}

class RecordFolderTest : public testing::Test {
 protected:
  RecordFolderTest()
      : folder_(std::filesystem::path(testing::TempDir()) /
                ("record_folder_" + std::to_string(getpid()))) {}
  ~RecordFolderTest() override { EXPECT_TRUE(RemoveTree(folder_.value())); }
  const HostPath folder_;
};

TEST_F(RecordFolderTest, GivesBackWhatWasSavedAndNothingElse) {
  const auto records = RecordFolder::Open(folder_).value();
  const std::string bytes("\0\xff", 2);
  ASSERT_TRUE(records.Save("one", "old"));
  ASSERT_TRUE(records.Save("one", bytes));
  ASSERT_TRUE(records.Save("two", ""));
  ASSERT_TRUE(records.SavePodCidr("10.1.0.0/24"));
  const auto loaded = RecordFolder::Open(folder_).value().Load().value();
  ASSERT_EQ(loaded.size(), 2u);
  EXPECT_EQ(loaded[0].pod, "one");
  EXPECT_EQ(loaded[0].content, bytes);
  EXPECT_EQ(loaded[1].content, "");
  ASSERT_TRUE(records.Remove("one"));
  ASSERT_TRUE(records.Remove("one")) << "absent is fine";
  EXPECT_EQ(records.Load()->size(), 1u);
  EXPECT_EQ(records.LoadPodCidr().value(), "10.1.0.0/24");
}

TEST_F(RecordFolderTest, SweepsWhatAnInterruptedWriteLeft) {
  ASSERT_TRUE(MakeDirectories(folder_.value()));
  ASSERT_TRUE(
      ReplaceFile((folder_ / "half.record.new").value(), "x", 0600, Durability::kProcessCrash));
  const auto records = RecordFolder::Open(folder_).value();
  EXPECT_TRUE(records.Load()->empty());
  EXPECT_TRUE(ListDirectory(folder_.value())->empty());
}

Result<ProgramEnd> Shell(const std::string& commands, Deadline deadline = Soon(),
                         const std::string& input = "") {
  const UniqueFd shell = OpenFile("/bin/sh", O_RDONLY).value();
  return RunProgram(shell, {.args = {"sh", "-c", commands}, .input = input}, deadline);
}

TEST(Program, GivesItsOutputsAndItsEnd) {
  const auto end = Shell("cat; echo said >&2; exit 3", Soon(), "given");
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->output, "given");
  EXPECT_EQ(end->diagnostics, "said\n");
  EXPECT_EQ(end->exit_code, 3);
  EXPECT_EQ(Shell("kill -9 $$")->exit_code, 128 + SIGKILL);
}

TEST(Program, IsKilledAtTheDeadlineWithAllThatItStarted) {
  const auto end = Shell("sleep 1000 & wait", Deadline::After(milliseconds(200)));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_NE(end.error().message.find("sh did not end in time"), std::string::npos);
}

TEST(Program, IsNotWaitedForByWhatItLeavesRunning) {
  const auto end = Shell("(sleep 5) & echo done");
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->output, "done\n");
}

TEST(Program, CannotFillTheMemory) {
  EXPECT_EQ(Shell("yes").error().code, ErrorCode::kResourceExhausted);
  const auto end = Shell("head -c 100000 /dev/zero >&2");
  ASSERT_TRUE(end);
  EXPECT_EQ(end->diagnostics.size(), kMostProgramDiagnostics) << "the beginning is enough";
}

TEST(PodNetworkResult, ListsAddressesBareAndIpv4First) {
  PodNetworkResult result;
  auto& interface = result.interfaces.emplace_back();
  interface.add_addresses("fd00::2/64");
  interface.add_addresses("10.0.0.2/16");
  EXPECT_EQ(result.ips(), (std::vector<std::string>{"10.0.0.2", "fd00::2"}));
}

}  // namespace
}  // namespace catamaran

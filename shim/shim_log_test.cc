// Logs of the real shim: nothing is lost or mixed at full speed, through rotations and readers that
// come and go.
#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include "shim/shim_test_util.h"

namespace catamaran {
namespace {

const std::vector<std::string> kManyLines = {"lines", "100000", "100"};

// Even lines go to stdout, odd ones to stderr (fake_backend.h).
std::string Lines(long count, size_t length, int parity) {
  std::string text;
  for (long i = parity; i < count; i += 2) {
    std::string line = fmt::format("{:010} ", i);
    line.resize(length - 1, static_cast<char>('a' + i % 26));
    text += line + "\n";
  }
  return text;
}

TEST_F(ShimProcessTest, LogsAreByteExactThroughRotationsAndADaemonsDeath) {
  constexpr long kLines = 1'200'000;  // 120 MB of content
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  ASSERT_TRUE(Create("a", {"lines", std::to_string(kLines), "100"}));
  ASSERT_TRUE(Start("a"));
  std::vector<std::string> files;
  for (int rotation = 0; rotation < 5; ++rotation) {
    // As the kubelet does: rename, then reopen.
    const std::string rotated = LogPath("a") + "." + std::to_string(rotation);
    ASSERT_EQ(rename(LogPath("a").c_str(), rotated.c_str()), 0);
    auto reopened = client_->ReopenLog(ContainerId("a"), Soon());
    if (!reopened && reopened.error().code == ErrorCode::kFailedPrecondition) {
      // The container was faster than the rotations: nothing was made, put it back.
      ASSERT_EQ(rename(rotated.c_str(), LogPath("a").c_str()), 0);
      break;
    }
    ASSERT_TRUE(reopened) << reopened.error().message;
    struct stat before, after;
    ASSERT_EQ(stat(LogPath("a").c_str(), &after), 0) << "the new file exists";
    ASSERT_EQ(stat(rotated.c_str(), &before), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    ASSERT_EQ(stat(rotated.c_str(), &after), 0);
    EXPECT_EQ(before.st_size, after.st_size) << "no byte goes to the old file";
    files.push_back(rotated);
    if (rotation == 2) {
      client_.reset();
      manager_.reset();
      NewManager();
      auto client = manager_->Reconnect(PodId("pod"), paths_, events_.Events(), Soon());
      ASSERT_TRUE(client);
      client_ = *client;
    }
  }
  EXPECT_GE(files.size(), 3u) << "the container ended before it was rotated";
  const Deadline deadline = Soon();
  while (client_->List(Soon())->containers(0).state() != spec::EXITED && !deadline.expired())
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  files.push_back(LogPath("a"));
  LogContent log;
  for (const auto& file : files) ReadLog(file, log);
  EXPECT_EQ(log.malformed, 0u);
  EXPECT_TRUE(log.out == Lines(kLines, 100, 0)) << log.out.size();
  EXPECT_TRUE(log.err == Lines(kLines, 100, 1)) << log.err.size();
}

TEST_F(ShimProcessTest, RotationOfAContainerThatDoesNotRunFailsAndMakesNoFile) {
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  EXPECT_EQ(client_->ReopenLog(ContainerId("a"), Soon()).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(Create("a", {"exit", "0"}));
  ASSERT_TRUE(Start("a"));
  events_.ExitOf("a");
  ASSERT_EQ(unlink(LogPath("a").c_str()), 0);
  EXPECT_EQ(client_->ReopenLog(ContainerId("a"), Soon()).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(Exists(LogPath("a")));
}

TEST_F(ShimProcessTest, AFailedRotationKeepsTheOldFile) {
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  ASSERT_TRUE(Create("a", {"sleep"}));
  ASSERT_TRUE(Start("a"));
  // Something in the way that is no regular file to append to.
  ASSERT_EQ(unlink(LogPath("a").c_str()), 0);
  ASSERT_TRUE(MakeDirectories(LogPath("a")));
  EXPECT_FALSE(client_->ReopenLog(ContainerId("a"), Soon()));
  EXPECT_TRUE(client_->List(Soon()));
}

TEST_F(ShimProcessTest, AFullDiskLosesRecordsButNeverBlocksOrTearsThem) {
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  // Writes to it fail with ENOSPC.
  ASSERT_EQ(symlink("/dev/full", (folder_ / "full.log").c_str()), 0);
  EXPECT_FALSE(Create("full", {"lines", "100", "100"})) << "a log is no symlink";
  ASSERT_TRUE(Create("b", kManyLines, "/dev/full"));
  ASSERT_TRUE(Start("b"));
  EXPECT_EQ(events_.ExitOf("b").exit_code(), 0);
}

// The container "stuck" logs into a FIFO that nobody reads: writing blocks like a disk that hangs.
class HangingLogDisk : public ShimProcessTest {
 protected:
  void SetUp() override {
    ShimProcessTest::SetUp();
    ASSERT_TRUE(Spawn());
    ASSERT_TRUE(MakeSandbox());
    ASSERT_EQ(mkfifo(LogPath("stuck").c_str(), 0600), 0);
    reader_ = OpenFile(LogPath("stuck"), O_RDONLY | O_NONBLOCK).value();
    ASSERT_TRUE(Create("stuck", kManyLines));
    ASSERT_TRUE(Start("stuck"));
  }
  UniqueFd reader_;
};

TEST_F(HangingLogDisk, HoldsUpNoCallAndNoOtherPod) {
  for (int i = 0; i < 5; ++i) {
    auto list = client_->List(Soon());
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_EQ(list->containers(0).state(), spec::RUNNING);
  }
  pod::ExecRequest exec;
  exec.set_container_id("stuck");
  exec.set_exec_id("e");
  exec.add_args("exit");
  exec.add_args("7");
  ASSERT_TRUE(client_->Exec(exec, Stdio(), Soon()));
  EXPECT_EQ(events_.ExitOf("stuck", "e").exit_code(), 7);
  // Once it is read again everything arrives.
  size_t total = 0;
  std::thread drain([&] {
    std::string buffer(1 << 20, '\0');
    const Deadline deadline = Soon();
    while (total < 100'000u * 140 && !deadline.expired()) {
      const ssize_t count = read(reader_.get(), buffer.data(), buffer.size());
      if (count > 0) total += count;
      if (count <= 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  EXPECT_EQ(events_.ExitOf("stuck").exit_code(), 0);
  drain.join();
  EXPECT_EQ(total, 100'000u * 140);
}

TEST_F(HangingLogDisk, HoldsUpNoReportOfAnExit) {
  pod::SignalRequest signal;
  signal.mutable_process()->set_container_id("stuck");
  signal.set_signal(SIGKILL);
  ASSERT_TRUE(client_->Signal(signal, Soon()));
  EXPECT_EQ(events_.ExitOf("stuck").exit_code(), 137);
  EXPECT_EQ(ShimManager::ReadJournal(paths_)->size(), 1u);
}

TEST_F(ShimProcessTest, AContainerWithoutALogRunsToItsEnd) {
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  ASSERT_TRUE(Create("a", kManyLines, ""));
  ASSERT_TRUE(Start("a"));
  EXPECT_EQ(events_.ExitOf("a").exit_code(), 0);
}

}  // namespace
}  // namespace catamaran

// Logs of the real shim: nothing is lost or mixed at full speed, through rotations and readers that
// come and go.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <limits>
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

// Somebody who can write to the folder of a log put this in its place; nobody waits for it.
class StrangeLogs : public ShimProcessTest {
 protected:
  void SetUp() override {
    ShimProcessTest::SetUp();
    ASSERT_TRUE(Spawn());
    ASSERT_TRUE(MakeSandbox());
    ASSERT_TRUE(Create("a", {"sleep"}));
    ASSERT_TRUE(Start("a"));
  }
  // Both as a container's log from the beginning and as what another's is reopened to.
  void ExpectRefused(const std::function<int(const char* path)>& put) {
    const std::string name = fmt::format("fresh{}", ++fresh_);
    const std::string fresh = LogPath(name), rotated = LogPath("a");
    ASSERT_EQ(put(fresh.c_str()), 0);
    ASSERT_EQ(unlink(rotated.c_str()), 0);
    ASSERT_EQ(put(rotated.c_str()), 0);
    const Deadline quick = Deadline::After(std::chrono::seconds(10));
    const auto created = Create(name, {"print", "x"});
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().code, ErrorCode::kFailedPrecondition) << created.error().message;
    EXPECT_NE(created.error().message.find(fresh), std::string::npos) << created.error().message;
    const auto reopened = client_->ReopenLog(ContainerId("a"), quick);
    ASSERT_FALSE(reopened);
    EXPECT_EQ(reopened.error().code, ErrorCode::kFailedPrecondition) << reopened.error().message;
    // The log process is well, and once the way is free so is the log.
    ASSERT_EQ(unlink(rotated.c_str()), 0);
    EXPECT_TRUE(client_->ReopenLog(ContainerId("a"), quick));
    ASSERT_EQ(unlink(fresh.c_str()), 0);
    ASSERT_TRUE(Create(name, {"print", "x"}));
    ASSERT_TRUE(Start(name));
    EXPECT_EQ(events_.ExitOf(name).exit_code(), 0);
    LogContent log;
    ReadLog(fresh, log);
    EXPECT_EQ(log.out, "x\n");
  }

 private:
  int fresh_ = 0;
};

TEST_F(StrangeLogs, AFifoIsRefusedAtOnce) {
  ExpectRefused([](const char* path) { return mkfifo(path, 0600); });
}

// With a reader it could be opened, and would block once it is full.
TEST_F(StrangeLogs, AFifoThatIsReadIsRefusedToo) {
  std::vector<UniqueFd> readers;
  ExpectRefused([&readers](const char* path) {
    if (mkfifo(path, 0600) != 0) return -1;
    readers.push_back(OpenFile(path, O_RDONLY | O_NONBLOCK).value());
    return 0;
  });
}

TEST_F(StrangeLogs, ALinkIsNotFollowed) {
  const std::string victim = folder_ / "victim";
  ASSERT_TRUE(ReplaceFile(victim, "v", 0600, Durability::kProcessCrash));
  ExpectRefused([&victim](const char* path) { return symlink(victim.c_str(), path); });
  EXPECT_EQ(ReadFile(victim).value(), "v");
  ExpectRefused([](const char* path) { return symlink("/absent/and/not/made", path); });
}

TEST_F(StrangeLogs, ASocketAndADeviceAreRefused) {
  ExpectRefused([](const char* path) { return mknod(path, S_IFSOCK | 0600, 0); });
  const std::string device = folder_ / "device";
  if (mknod(device.c_str(), S_IFCHR | 0600, makedev(1, 7)) != 0)
    GTEST_SKIP() << "no devices can be made here";
  ExpectRefused([](const char* path) { return mknod(path, S_IFCHR | 0600, makedev(1, 7)); });
}

// Nothing can be appended to the longest of files: records are dropped, the container goes on.
TEST_F(StrangeLogs, AFileOfEndlessHolesHoldsNobodyUp) {
  const std::string path = LogPath("holes");
  off_t length = std::numeric_limits<off_t>::max();
  ASSERT_EQ(mknod(path.c_str(), S_IFREG | 0600, 0), 0);
  while (length > 0 && truncate(path.c_str(), length) != 0) length >>= 1;
  ASSERT_GT(length, off_t{1} << 40);
  ASSERT_TRUE(Create("holes", kManyLines));
  ASSERT_TRUE(Start("holes"));
  EXPECT_EQ(events_.ExitOf("holes").exit_code(), 0);
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_GE(status.st_size, length);
  EXPECT_LT(status.st_blocks, 100'000);
}

TEST_F(ShimProcessTest, AFullDiskLosesRecordsButNeverBlocksOrTearsThem) {
  const std::string disk = folder_ / "disk";
  ASSERT_TRUE(MakeDirectories(disk));
  if (mount("small", disk.c_str(), "tmpfs", 0, "size=256k") != 0)
    GTEST_SKIP() << "nothing can be mounted here";
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  ASSERT_TRUE(Create("b", kManyLines, disk + "/b.log"));
  ASSERT_TRUE(Start("b"));
  EXPECT_EQ(events_.ExitOf("b").exit_code(), 0);
  LogContent log;
  ReadLog(disk + "/b.log", log);
  EXPECT_EQ(log.malformed, 0u);
  EXPECT_GT(log.out.size() + log.err.size(), 0u);
  EXPECT_EQ(umount2(disk.c_str(), MNT_DETACH), 0);
}

// Stopped in the middle of its work, the log process is what it is in a write that does not end.
class HangingLogDisk : public ShimProcessTest {
 protected:
  void SetUp() override {
    ShimProcessTest::SetUp();
    ASSERT_TRUE(Spawn());
    ASSERT_TRUE(MakeSandbox());
    ASSERT_TRUE(Create("stuck", kManyLines));
    const auto children = ReadFile(fmt::format("/proc/{0}/task/{0}/children", ShimPid()));
    ASSERT_TRUE(children);
    writer_ = atoi(children->c_str());
    ASSERT_GT(writer_, 0);
    ASSERT_EQ(ReadFile(fmt::format("/proc/{}/comm", writer_)).value(), "catamaran-log\n");
    ASSERT_EQ(kill(writer_, SIGSTOP), 0);
    ASSERT_TRUE(Start("stuck"));
  }
  void TearDown() override {
    // First, or it starts another one, which opens its logs in the folder that goes.
    KillShim();
    if (writer_ > 0) kill(writer_, SIGKILL);
    ShimProcessTest::TearDown();
  }
  pid_t writer_ = 0;
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
  // Once it goes on everything arrives.
  ASSERT_EQ(kill(writer_, SIGCONT), 0);
  EXPECT_EQ(events_.ExitOf("stuck").exit_code(), 0);
  LogContent log;
  ReadLog(LogPath("stuck"), log);
  EXPECT_EQ(log.malformed, 0u);
  EXPECT_TRUE(log.out == Lines(100'000, 100, 0)) << log.out.size();
  EXPECT_TRUE(log.err == Lines(100'000, 100, 1)) << log.err.size();
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

// Server and pump killed while files are used. What a guest's programs do is done by children; the
// loop, which brings both back, is this process's.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "vm-backend/volumes/volume_testing.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

class Restarts : public ServedVolumeTest {
 protected:
  void SetUp() override {
    ServedVolumeTest::SetUp();
    if (HasFatalFailure()) return;
    fs::create_directories(host() / "below");
    Write(host() / "file", "content");
    volume_ = Mounted("");
  }

  // Opens, until that is served: 0, or the last error.
  int CanBeRead() {
    return Ended(Program([this] {
      for (int i = 0; i < 1000; ++i) {
        auto content = ReadFile(volume_ / "file");
        if (content && *content == "content") return 0;
        usleep(20'000);
      }
      return 1;
    }));
  }
  // A server's end is the end of the pump's session too.
  void KillServer() {
    const pid_t before = server_->pid();
    const uint64_t session = pump_->session();
    ASSERT_EQ(kill(before, SIGKILL), 0);
    ASSERT_TRUE(RunUntil([&] { return server_->pid() != before && pump_->session() > session; }));
  }
  enum class Half { kRequests, kReplies };
  void KillPump(Half half) {
    const uint64_t before = pump_->session();
    const pid_t process = half == Half::kRequests ? pump_->requests() : pump_->replies();
    ASSERT_GT(process, 0);
    ASSERT_EQ(kill(process, SIGKILL), 0);
    ASSERT_TRUE(RunUntil([&] { return pump_->session() > before; }));
  }

  fs::path volume_;
};

TEST_F(Restarts, FilesAreServedAgainByAServerThatCameBack) {
  ASSERT_EQ(CanBeRead(), 0);
  for (int i = 0; i < VolumeServer::kMostRestarts; ++i) {
    KillServer();
    EXPECT_EQ(CanBeRead(), 0);
  }
  EXPECT_FALSE(server_ended_);
}

TEST_F(Restarts, FilesAreServedAgainByAPumpThatCameBack) {
  ASSERT_EQ(CanBeRead(), 0);
  for (int i = 0; i < 4; ++i) {
    KillPump(i % 2 == 0 ? Half::kRequests : Half::kReplies);
    EXPECT_EQ(CanBeRead(), 0);
  }
}

// A bind mount keeps the inode of the volume's root, and never looks its name up again.
TEST_F(Restarts, AMountOfAVolumeAndAWorkingFolderInItStayGood) {
  const fs::path bound = scratch_ / "bound";
  fs::create_directory(bound);
  ASSERT_EQ(CanBeRead(), 0);
  ASSERT_EQ(Ended(Program([&] {
              return mount(volume_.c_str(), bound.c_str(), nullptr, MS_BIND, nullptr) == 0 ? 0 : 1;
            })),
            0);
  KillServer();
  EXPECT_EQ(Ended(Program([&] {
              for (int i = 0; i < 1000; ++i, usleep(20'000))
                if (auto content = ReadFile(bound / "file"); content && *content == "content")
                  return chdir(bound.c_str()) == 0 && ReadFile("file") ? 0 : 2;
              return 1;
            })),
            0);
  Ended(Program([&] { return umount2(bound.c_str(), MNT_DETACH); }));
}

TEST_F(Restarts, AnOpenFileOfAKilledServerFailsAndCanBeOpenedAgain) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t program = Program([&] {
    const int fd = open((volume_ / "file").c_str(), O_RDWR | O_DIRECT);
    if (fd < 0 || write(ready[1], "r", 1) != 1) return 1;
    char byte;
    for (int i = 0; i < 3000; ++i, usleep(10'000)) {
      if (pread(fd, &byte, 1, 0) == 1) continue;
      if (errno != EIO && errno != EBADF && errno != ESTALE) return 2;
      // It failed: open again until it is served.
      for (int tries = 0; tries < 1000; ++tries, usleep(20'000)) {
        const int again = open((volume_ / "file").c_str(), O_RDWR);
        if (again >= 0 && pread(again, &byte, 1, 0) == 1) return byte == 'c' ? 0 : 3;
      }
      return 4;
    }
    return 5;
  });
  char byte;
  ASSERT_TRUE(SetNonBlocking(ready[0]));
  ASSERT_TRUE(RunUntil([&] { return read(ready[0], &byte, 1) == 1; }));
  KillServer();
  EXPECT_EQ(Ended(program), 0);
  close(ready[0]);
  close(ready[1]);
}

// What a program is told of a file that it had open, until it closes it.
TEST_F(Restarts, AnOpenFileOfAKilledServerIsABadDescriptorAndAStaleFile) {
  ASSERT_EQ(CanBeRead(), 0);
  Pipe opened = MakePipe(O_NONBLOCK).value(), killed = MakePipe().value();
  const pid_t program = Program([&] {
    const int fd = open((volume_ / "file").c_str(), O_RDWR | O_DIRECT);
    char byte;
    if (fd < 0 || write(opened.write_end.get(), "r", 1) != 1) return 1;
    if (read(killed.read_end.get(), &byte, 1) != 1) return 2;
    if (pread(fd, &byte, 1, 0) >= 0 || errno != EBADF) return 3;
    if (pwrite(fd, "x", 1, 0) >= 0 || errno != EBADF) return 4;
    if (fsync(fd) == 0 || errno != EBADF) return 5;
    usleep(1'200'000);  // attributes are kept for a second
    struct stat status;
    if (fstat(fd, &status) == 0 || errno != ESTALE) return 6;
    return close(fd) == 0 ? 0 : 7;
  });
  char byte;
  ASSERT_TRUE(RunUntil([&] { return read(opened.read_end.get(), &byte, 1) == 1; }));
  KillServer();
  ASSERT_EQ(CanBeRead(), 0);
  ASSERT_EQ(write(killed.write_end.get(), "k", 1), 1);
  EXPECT_EQ(Ended(program), 0);
}

// Writes blocks of one byte value, each acknowledged, while things are killed: an error may come,
// after which the file is opened again; no acknowledged block may be lost or mixed up.
TEST_F(Restarts, NoAcknowledgedWriteIsLostOrTornWhoeverIsKilled) {
  constexpr size_t kBlock = 300'000;
  constexpr int kBlocks = 60;
  const pid_t program = Program([&] {
    int fd = -1;
    const std::string name = volume_ / "written";
    for (int block = 0; block < kBlocks;) {
      if (fd < 0) fd = open(name.c_str(), O_WRONLY | O_CREAT, 0644);
      const std::string data(kBlock, static_cast<char>('A' + block % 26));
      if (fd >= 0 && pwrite(fd, data.data(), kBlock, static_cast<off_t>(block * kBlock)) ==
                         static_cast<ssize_t>(kBlock)) {
        ++block;
        continue;
      }
      if (fd >= 0) close(fd);
      fd = -1;
      usleep(10'000);
    }
    // The last kill may come now.
    for (int tries = 0; tries < 1000; ++tries, usleep(10'000)) {
      if (fd >= 0 && fsync(fd) == 0) return 0;
      if (fd >= 0) close(fd);
      fd = open(name.c_str(), O_WRONLY);
    }
    return 1;
  });
  for (int round = 0; round < 9; ++round) {
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(5)));
    if (round % 3 == 0 && round / 3 < VolumeServer::kMostRestarts)
      KillServer();
    else
      KillPump(round % 3 == 1 ? Half::kRequests : Half::kReplies);
  }
  ASSERT_EQ(Ended(program), 0);
  const auto content = ReadFile(host() / "written");
  ASSERT_TRUE(content);
  ASSERT_EQ(content->size(), kBlocks * kBlock);
  for (int block = 0; block < kBlocks; ++block) {
    const std::string_view one(content->data() + block * kBlock, kBlock);
    EXPECT_EQ(one.find_first_not_of(static_cast<char>('A' + block % 26)), std::string_view::npos)
        << "block " << block;
  }
}

TEST_F(Restarts, AVolumeAddedWhileTheServerIsKilledIsServed) {
  std::string added;
  server_->AddVolume({HostPath(host() / "below")}, [&](Result<std::string> name) {
    added = name ? *name : name.error().message;
  });
  kill(server_->pid(), SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !added.empty(); }));
  EXPECT_EQ(added, "1");
  Write(host() / "below/inner", "inner");
  EXPECT_EQ(Ended(Program([&] {
              for (int i = 0; i < 1000; ++i, usleep(20'000))
                if (ReadFile(guest() / added / "inner")) return 0;
              return 1;
            })),
            0);
}

}  // namespace
}  // namespace catamaran

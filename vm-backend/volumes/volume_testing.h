#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "sandbox/base/files.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/volumes/volume_pump.h"
#include "vm-backend/volumes/volume_server.h"

namespace catamaran {

// For tests of both halves on one kernel: a folder in a mount namespace of the test's own, and a
// loop.
class VolumeScratchTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(getuid(), 0u) << "run as root";
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    char name[] = "/tmp/volume_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    scratch_ = name;
    loop_ = EventLoop::Create().value();
  }
  void TearDown() override {
    if (scratch_.empty()) return;
    EXPECT_TRUE(RemoveTree(scratch_));
  }

  static void Write(const std::filesystem::path& path, const std::string& content) {
    std::ofstream(path) << content;
  }
  static std::string Read(const std::filesystem::path& path) {
    std::ifstream stream(path);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  }
  template <typename Condition>
  bool RunUntil(Condition condition) {
    for (int i = 0; i < 3000; ++i) {
      if (condition()) return true;
      if (!loop_->RunOnce(std::chrono::milliseconds(20))) return false;
    }
    return false;
  }

  // A program of the guest: it waits where volumes do not answer, so it is not this process, whose
  // loop brings them back. Its exit code comes by Ended().
  template <typename Body>
  pid_t Program(Body body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    return child;
  }
  int Ended(pid_t program) {
    int status = 0;
    const bool ended = RunUntil([&] { return waitpid(program, &status, WNOHANG) == program; });
    if (!ended) {
      kill(program, SIGKILL);
      waitpid(program, &status, 0);
      return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
  }

  std::filesystem::path scratch_;
  std::unique_ptr<EventLoop> loop_;
};

// Server and pump joined by a socket pair instead of a virtio-serial port; FUSE is mounted at
// guest(), and host() is there for what is given to it.
class ServedVolumeTest : public VolumeScratchTest {
 protected:
  void SetUp() override {
    VolumeScratchTest::SetUp();
    if (HasFatalFailure()) return;
    std::filesystem::create_directories(host());
    std::filesystem::create_directories(guest());
    Serve();
  }
  void TearDown() override {
    EndServing();
    VolumeScratchTest::TearDown();
  }

  void Serve() {
    auto [theirs, ours] = MakeSocketPair(SOCK_STREAM).value();
    VolumeServer::Options options;
    options.secret = "one secret";
    options.on_exit = [this] { server_ended_ = true; };
    auto server = VolumeServer::Start(*loop_, std::move(theirs), std::move(options));
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    auto pump = VolumePump::Start(*loop_, std::move(ours), GuestPath(guest()), "one secret");
    ASSERT_TRUE(pump) << pump.error().message;
    pump_ = std::move(*pump);
  }
  void EndServing() {
    server_.reset();
    if (!scratch_.empty()) umount2(guest().c_str(), MNT_DETACH);
    pump_.reset();
  }

  std::filesystem::path host() const { return scratch_ / "host"; }
  std::filesystem::path guest() const { return scratch_ / "guest"; }

  Result<std::string> Add(const std::filesystem::path& path, bool readonly = false) {
    std::optional<Result<std::string>> result;
    server_->AddVolume({HostPath(path), readonly},
                       [&](Result<std::string> answer) { result = std::move(answer); });
    if (!RunUntil([&] { return result.has_value(); }))
      return Fail(ErrorCode::kDeadlineExceeded, "no answer");
    return *result;
  }
  // What is at this path below host(), as the guest sees it.
  std::filesystem::path Mounted(const std::filesystem::path& path, bool readonly = false) {
    auto name = Add(host() / path, readonly);
    EXPECT_TRUE(name) << name.error().message;
    return guest() / name.value_or("absent");
  }

  std::unique_ptr<VolumeServer> server_;
  std::unique_ptr<VolumePump> pump_;
  bool server_ended_ = false;
};

}  // namespace catamaran

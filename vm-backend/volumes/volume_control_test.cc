// What shim and volume server say to each other when one of them is slow, full or gone.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "vm-backend/volumes/server_confinement.h"
#include "vm-backend/volumes/volume_control.h"
#include "vm-backend/volumes/volume_server_process.h"
#include "vm-backend/volumes/volume_testing.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

class VolumeControl : public ServedVolumeTest {
 protected:
  void SetUp() override {
    ServedVolumeTest::SetUp();
    if (HasFatalFailure()) return;
    for (const char* name : {"first", "second"}) {
      fs::create_directories(host() / name);
      Write(host() / name / "file", name);
    }
  }
  // More than any control socket takes before its server reads.
  void FillControl() {
    for (int i = 0; i < 4000; ++i) server_->RemoveVolume("70000");
  }
  // Asks for "second"; its name is in added_ once it is known.
  void AskForSecond() {
    server_->AddVolume({HostPath(host() / "second")}, [this](Result<std::string> name) {
      added_ = name ? *name : name.error().message;
    });
  }
  void RunFor(std::chrono::milliseconds time) {
    for (int i = 0; i < time.count() / 10; ++i)
      ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(10)));
  }
  // The guest may keep what it knew of a name for a second.
  bool IsGone(const std::string& volume) {
    return RunUntil([&] { return !fs::exists(guest() / volume / "file"); });
  }

  std::string added_;
};

TEST_F(VolumeControl, AServerThatStoodStillHearsEverything) {
  ASSERT_EQ(Read(Mounted("first") / "file"), "first");
  ASSERT_EQ(kill(server_->pid(), SIGSTOP), 0);
  FillControl();
  AskForSecond();
  RunFor(std::chrono::milliseconds(300));
  server_->RemoveVolume("0");
  EXPECT_EQ(added_, "");
  ASSERT_EQ(kill(server_->pid(), SIGCONT), 0);
  ASSERT_TRUE(RunUntil([&] { return !added_.empty(); }));
  EXPECT_EQ(Read(guest() / added_ / "file"), "second") << added_;
  EXPECT_TRUE(IsGone("0"));
}

TEST_F(VolumeControl, AServerThatIsKilledBeforeItHearsIsFollowedByOneThatKnows) {
  ASSERT_EQ(Read(Mounted("first") / "file"), "first");
  const pid_t before = server_->pid();
  ASSERT_EQ(kill(before, SIGSTOP), 0);
  FillControl();
  AskForSecond();
  RunFor(std::chrono::milliseconds(300));
  server_->RemoveVolume("0");
  ASSERT_EQ(kill(before, SIGKILL), 0);
  ASSERT_TRUE(RunUntil([&] { return !added_.empty() && pump_->session() > 1; }));
  EXPECT_NE(server_->pid(), before);
  EXPECT_EQ(Read(guest() / added_ / "file"), "second") << added_;
  EXPECT_TRUE(IsGone("0"));
}

TEST_F(VolumeControl, AVolumeThatAServerHasNoDescriptorForIsRefusedAndTheOthersServed) {
  const auto first = Mounted("first");
  const pid_t server = server_->pid();
  // Numbers below this are taken by the standard streams.
  rlimit before{}, none_left{3, 0};
  ASSERT_EQ(prlimit(server, RLIMIT_NOFILE, nullptr, &before), 0);
  none_left.rlim_max = before.rlim_max;
  ASSERT_EQ(prlimit(server, RLIMIT_NOFILE, &none_left, nullptr), 0);
  const auto refused = Add(host() / "second");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, CodeOfErrno(EMFILE));
  EXPECT_EQ(refused.error().system_errno, EMFILE);
  ASSERT_EQ(prlimit(server, RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_EQ(Read(Mounted("second") / "file"), "second");
  EXPECT_EQ(Read(first / "file"), "first");
  EXPECT_EQ(server_->pid(), server);
}

// A guest may have made its server another program.
TEST_F(VolumeControl, AServerThatSaysWhatItShouldNotIsReplaced) {
  ASSERT_EQ(Read(Mounted("first") / "file"), "first");
  const pid_t before = server_->pid();
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, before, 0)));
  UniqueFd control;
  const auto descriptors = ListDirectory("/proc/" + std::to_string(before) + "/fd");
  ASSERT_TRUE(descriptors);
  for (const std::string& number : *descriptors) {
    UniqueFd one(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), std::stoi(number), 0)));
    int type = 0;
    socklen_t size = sizeof type;
    if (one.valid() && getsockopt(one.get(), SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
        type == SOCK_SEQPACKET)
      control = std::move(one);
  }
  ASSERT_TRUE(control.valid());
  ASSERT_EQ(send(control.get(), "abc", 3, MSG_NOSIGNAL), 3);
  ASSERT_TRUE(RunUntil([&] { return server_->pid() != before && pump_->session() > 1; }));
  EXPECT_EQ(Read(Mounted("second") / "file"), "second");
  EXPECT_FALSE(server_ended_);
}

// The server itself, with this test as its shim.
TEST_F(VolumeScratchTest, AServerWaitsForAShimThatIsSlowToRead) {
  auto control = MakeSocketPair(SOCK_SEQPACKET).value();
  auto stream = MakeSocketPair(SOCK_STREAM).value();
  const int small = 1;  // the kernel makes it its least
  ASSERT_EQ(setsockopt(control.theirs.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  const uint64_t namespaces = ServerNamespaces(kAllServerDefences, /*user_namespace=*/false);
  auto server = CloneProcess({.namespaces = namespaces, .dies_with_parent = true}, [&] {
    control.ours.Reset();
    stream.ours.Reset();
    return RunVolumeServer({UniqueFd(stream.theirs.get()), UniqueFd(control.theirs.get()), "s"});
  });
  ASSERT_TRUE(server) << server.error().message;
  const UniqueFd folder = OpenFile(scratch_, O_PATH).value();
  // Until the server, which cannot tell its answers, hears no more.
  uint64_t asked = 0, answered = 0;
  while (asked < 20000) {
    pollfd writable{control.ours.get(), POLLOUT, 0};
    if (poll(&writable, 1, 1000) == 0) break;
    const auto sent = SendVolumeCommand(
        control.ours.get(),
        {.kind = VolumeCommand::kAdd, .volume = asked, .access = static_cast<uint32_t>(asked)},
        folder.get());
    if (sent) {
      ++asked;
    } else {
      ASSERT_EQ(sent.error().system_errno, EAGAIN) << sent.error().message;
    }
  }
  ASSERT_LT(asked, 20000u) << "it never had to wait";
  while (answered < asked) {
    pollfd readable{control.ours.get(), POLLIN, 0};
    ASSERT_EQ(poll(&readable, 1, 60'000), 1);
    const auto answer = ReceiveVolumeCommand(control.ours.get());
    ASSERT_TRUE(answer) << answer.error().message << " after " << answered << " of " << asked;
    EXPECT_EQ(answer->command.volume, answered++);
    EXPECT_EQ(answer->command.problem, 0);
  }
  // The shim's end of it.
  control.ours.Reset();
  siginfo_t end{};
  ASSERT_EQ(waitid(P_PIDFD, static_cast<id_t>(server->pidfd.get()), &end, WEXITED), 0);
  EXPECT_EQ(end.si_code, CLD_EXITED);
}

}  // namespace
}  // namespace catamaran

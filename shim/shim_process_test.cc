// The real catamaran-shim with the fake backend, through the real client.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <thread>

#include "sandbox/kernel/unix_socket.h"
#include "shim/shim_test_util.h"

namespace catamaran {
namespace {

TEST_F(ShimProcessTest, ServesAPodFromSpawnToShutdown) {
  ASSERT_TRUE(ShimManager::IsGone(paths_));
  auto spawned = Spawn();
  ASSERT_TRUE(spawned) << spawned.error().message;
  EXPECT_FALSE(ShimManager::IsGone(paths_));
  EXPECT_TRUE(client_->alive());
  ASSERT_TRUE(MakeSandbox());
  ASSERT_TRUE(Create("a", {"print", "hello", "world"}));
  ASSERT_TRUE(Start("a"));
  EXPECT_EQ(events_.ExitOf("a").exit_code(), 0);
  // The exit is reported once the output is in the log.
  LogContent log;
  ReadLog(LogPath("a"), log);
  EXPECT_EQ(log.out, "hello world\n");
  EXPECT_EQ(log.malformed, 0u);
  struct stat status;
  ASSERT_EQ(stat(LogPath("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  ASSERT_TRUE(client_->Stats({}, Soon()));
  ASSERT_TRUE(client_->RemoveContainer(ContainerId("a"), Soon()));
  EXPECT_EQ(client_->List(Soon())->containers_size(), 0);
  ASSERT_TRUE(client_->DestroySandbox(Soon()));
  auto ended = client_->Shutdown(Soon());
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_FALSE(client_->alive());
  EXPECT_TRUE(ShimManager::IsGone(paths_));
  EXPECT_TRUE(events_.WaitGone());
  EXPECT_EQ(client_->List(Soon()).error().code, ErrorCode::kUnavailable);
}

TEST_F(ShimProcessTest, IsDetachedPrivateAndHoldsNoForeignDescriptors) {
  UniqueFd leak(open("/etc/passwd", O_RDONLY));  // not close-on-exec
  ASSERT_TRUE(Spawn());
  const pid_t pid = ShimPid();
  ASSERT_GT(pid, 0);
  EXPECT_EQ(getsid(pid), pid);
  const auto descriptors = ListDirectory(fmt::format("/proc/{}/fd", pid)).value();
  EXPECT_GE(descriptors.size(), 5u);
  for (const auto& name : descriptors) {
    const auto target =
        std::filesystem::read_symlink(fmt::format("/proc/{}/fd/{}", pid, name)).string();
    EXPECT_NE(target, "/etc/passwd");
  }
  EXPECT_EQ(ListDirectory(fmt::format("/proc/{}/task", pid))->size(), 1u);
  EXPECT_EQ(ReadFile(fmt::format("/proc/{}/comm", pid)).value(), "catamaran-shim\n");
  // The program cannot be opened for writing, by whatever name it is reached (CVE-2019-5736).
  EXPECT_LT(open(fmt::format("/proc/{}/exe", pid).c_str(), O_RDWR), 0);
  struct stat status;
  ASSERT_EQ(stat(paths_.socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(ShimProcessTest, ASecondShimForThePodIsRefused) {
  ASSERT_TRUE(Spawn());
  EXPECT_EQ(Spawn().error().code, ErrorCode::kAlreadyExists);
  EXPECT_FALSE(ShimManager::IsGone(paths_));
  ASSERT_TRUE(client_->List(Soon()));
}

TEST_F(ShimProcessTest, AShimThatCannotStartLeavesItsReasonAndNothingElse) {
  // A group path that no hierarchy takes.
  auto spawned = Spawn(ShimManager::Backend::kFake, "/../catamaran");
  ASSERT_FALSE(spawned);
  EXPECT_NE(spawned.error().message.find("could not start"), std::string::npos)
      << spawned.error().message;
  EXPECT_TRUE(ShimManager::IsGone(paths_));
  EXPECT_TRUE(ListDirectory(paths_.folder.value())->empty());
}

TEST_F(ShimProcessTest, WhatHappensWithoutADaemonIsToldToTheNextOne) {
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  ASSERT_TRUE(Create("ends", {"exit", "3"}));
  ASSERT_TRUE(Create("stays", {"sleep"}));
  ASSERT_TRUE(Start("stays"));
  const pid_t shim = ShimPid();
  // A daemon that starts a container and dies at once.
  const pid_t daemon = fork();
  if (daemon == 0) {
    auto socket = ConnectUnix(paths_.socket().string());
    pod::Request hello, start;
    hello.mutable_hello()->set_protocol_version(1);
    start.set_id(1);
    start.mutable_start_container()->set_container_id("ends");
    std::string wire;
    for (const auto& request : {hello, start}) {
      const std::string body = request.SerializeAsString();
      const uint32_t header[3] = {static_cast<uint32_t>(body.size()), 0, 1};
      wire.append(reinterpret_cast<const char*>(header), sizeof header);
      wire += body;
    }
    _exit(socket && WriteAll(socket->get(), wire) ? 0 : 1);
  }
  client_.reset();
  manager_.reset();
  int status;
  ASSERT_EQ(waitpid(daemon, &status, 0), daemon);
  ASSERT_EQ(status, 0);
  NewManager();
  EventLog events;
  auto client = manager_->Reconnect(PodId("pod"), paths_, events.Events(), Soon());
  ASSERT_TRUE(client) << client.error().message;
  client_ = *client;
  const Deadline deadline = Soon();
  spec::ContainerStatus ended, stays;
  while (ended.state() != spec::EXITED && !deadline.expired()) {
    const auto list = client_->List(Soon());
    ASSERT_TRUE(list);
    EXPECT_TRUE(list->sandbox_ready());
    ASSERT_EQ(list->containers_size(), 2);
    ended = list->containers(0);
    stays = list->containers(1);
  }
  EXPECT_EQ(ended.exit().exit_code(), 3);
  EXPECT_EQ(stays.state(), spec::RUNNING);
  EXPECT_EQ(ShimPid(), shim);
  const auto journal = ShimManager::ReadJournal(paths_);
  ASSERT_TRUE(journal);
  ASSERT_EQ(journal->size(), 1u);
  EXPECT_EQ((*journal)[0].exit().exit_code(), 3);
}

TEST_F(ShimProcessTest, AKilledShimIsGoneAndLeavesItsJournal) {
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  ASSERT_TRUE(Create("a", {"oom"}));
  ASSERT_TRUE(Create("b", {"sleep"}));
  ASSERT_TRUE(Start("a"));
  ASSERT_TRUE(Start("b"));
  EXPECT_TRUE(events_.ExitOf("a").oom_killed());
  KillShim();
  ASSERT_TRUE(events_.WaitGone());
  EXPECT_FALSE(client_->alive());
  EXPECT_TRUE(ShimManager::IsGone(paths_));
  EXPECT_EQ(client_->List(Soon()).error().code, ErrorCode::kUnavailable);
  const auto journal = ShimManager::ReadJournal(paths_);
  ASSERT_TRUE(journal);
  ASSERT_EQ(journal->size(), 1u);
  EXPECT_EQ((*journal)[0].process().container_id(), "a");
  EXPECT_EQ((*journal)[0].exit().exit_code(), 137);
  auto again = manager_->Reconnect(PodId("pod"), paths_, {}, Soon());
  EXPECT_EQ(again.error().code, ErrorCode::kNotFound);
}

TEST_F(ShimProcessTest, AShimThatDoesNotAnswerIsNotGone) {
  ASSERT_TRUE(Spawn());
  const pid_t shim = ShimPid();
  ASSERT_EQ(kill(shim, SIGSTOP), 0);
  auto list = client_->List(Deadline::After(std::chrono::milliseconds(200)));
  EXPECT_EQ(list.error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_TRUE(client_->alive());
  EXPECT_FALSE(ShimManager::IsGone(paths_));
  ASSERT_EQ(kill(shim, SIGCONT), 0);
  EXPECT_TRUE(client_->List(Soon()));
}

TEST_F(ShimProcessTest, ExecGetsTheCallersDescriptors) {
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  ASSERT_TRUE(Create("a", {"sleep"}));
  ASSERT_TRUE(Start("a"));
  auto in = MakePipe().value();
  auto out = MakePipe().value();
  pod::ExecRequest exec;
  exec.set_container_id("a");
  exec.set_exec_id("e");
  exec.add_args("cat");
  Stdio stdio;
  stdio.in = std::move(in.read_end);
  stdio.out = std::move(out.write_end);
  ASSERT_TRUE(client_->Exec(exec, std::move(stdio), Soon()));
  ASSERT_TRUE(WriteAll(in.write_end.get(), "through the pipe"));
  in.write_end.Reset();
  EXPECT_EQ(ReadAll(out.read_end.get(), 1000).value(), "through the pipe");
  EXPECT_EQ(events_.ExitOf("a", "e").exit_code(), 0);
  // An exec is not a container: the journal is silent about it.
  EXPECT_TRUE(ShimManager::ReadJournal(paths_)->empty());
  auto socket = client_->DialPort(7, Soon());
  ASSERT_TRUE(socket);
  ASSERT_TRUE(WriteAll(socket->get(), "ping"));
  char buffer[4];
  ASSERT_EQ(read(socket->get(), buffer, 4), 4);
}

TEST_F(ShimProcessTest, AFailedCreateNamesTheLogAndCanBeRepeated) {
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  pod::CreateContainerRequest request;
  request.mutable_container()->set_container_id("a");
  request.mutable_container()->set_log_path(folder_ / "no/such/folder/a.log");
  auto created = client_->CreateContainer(request, Soon());
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, ErrorCode::kNotFound);
  EXPECT_NE(created.error().message.find("no/such/folder"), std::string::npos);
  EXPECT_EQ(Create("a", {"fail-create", "8"}).error().code, ErrorCode::kResourceExhausted);
  ASSERT_TRUE(Create("a", {"fail-start", "5"}));
  EXPECT_EQ(Create("a", {"sleep"}).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(Start("a").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(client_->RemoveContainer(ContainerId("a"), Soon()));
  ASSERT_TRUE(Create("a", {"sleep"}));
}

TEST_F(ShimProcessTest, ADeadLogProcessIsReplacedAndTheContainerGoesOn) {
  ASSERT_TRUE(Spawn());
  ASSERT_TRUE(MakeSandbox());
  ASSERT_TRUE(Create("a", {"lines", "200000", "100"}));
  const pid_t shim = ShimPid();
  const auto child_of = [shim] {
    const auto text = ReadFile(fmt::format("/proc/{0}/task/{0}/children", shim));
    return text ? atoi(text->c_str()) : 0;
  };
  const pid_t first = child_of();
  ASSERT_GT(first, 0);
  EXPECT_EQ(ReadFile(fmt::format("/proc/{}/comm", first)).value(), "catamaran-log\n");
  ASSERT_TRUE(Start("a"));
  ASSERT_EQ(kill(first, SIGKILL), 0);
  EXPECT_EQ(events_.ExitOf("a").exit_code(), 0);
  EXPECT_NE(child_of(), first);
  LogContent log;
  ReadLog(LogPath("a"), log);
  // What the dead process had read and not yet written is lost, and nothing else: a few pipes'
  // worth of lines at most.
  EXPECT_GE(log.out.size() + log.err.size(), 200'000u * 100 - (1 << 20));
}

// The shim dies by itself at its N-th step, for every N: whatever it had done, the client notices,
// the lock is free and another shim starts in the same folder.
TEST_F(ShimProcessTest, ItsDeathAtAnyStepIsNoticedAndAnotherCanStart) {
  int deaths = 0;
  for (int step = 1; step < 100; ++step) {
    setenv("CATAMARAN_ABORT_AT", fmt::format("shim:{}", step).c_str(), 1);
    auto spawned = Spawn();
    unsetenv("CATAMARAN_ABORT_AT");
    Status status = spawned;
    if (status) status = MakeSandbox();
    if (status) status = Create("a", {"exit", "5"});
    if (status) status = Start("a");
    if (status) {
      const bool ended =
          events_.WaitFor([](const auto& events, int gone) { return gone > 0 || !events.empty(); });
      ASSERT_TRUE(ended);
    }
    if (status) status = client_->ReopenLog(ContainerId("a"), Soon());
    if (!status && status.error().code == ErrorCode::kFailedPrecondition) status = {};
    if (status) status = client_->RemoveContainer(ContainerId("a"), Soon());
    if (status) status = client_->Shutdown(Soon());
    if (status) {
      client_.reset();
      EXPECT_GE(deaths, 3);
      return;
    }
    ++deaths;
    EXPECT_TRUE(ShimManager::IsGone(paths_)) << step << ": " << status.error().message;
    if (spawned) {
      EXPECT_TRUE(events_.WaitGone()) << step;
      EXPECT_TRUE(ShimManager::ReadJournal(paths_)) << step;
    }
    client_.reset();
    events_.Reset();
  }
  FAIL() << "it never ran out of steps";
}

}  // namespace
}  // namespace catamaran

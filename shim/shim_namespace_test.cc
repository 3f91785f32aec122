// The real catamaran-shim with the namespace backend: real containers, real signals.
#include <sys/wait.h>

#include <thread>

#include "shim/namespace_shim_test.h"

namespace catamaran {
namespace {

TEST_F(NamespaceShimTest, RunsAContainerToItsLogAndExitCode) {
  auto spawned = SpawnPod();
  ASSERT_TRUE(spawned) << spawned.error().message;
  auto created = CreateShell("a", "echo to stdout; echo to stderr >&2; echo -n unfinished; exit 3");
  ASSERT_TRUE(created) << created.error().message;
  ASSERT_TRUE(Start("a"));
  EXPECT_EQ(events_.ExitOf("a").exit_code(), 3);
  EXPECT_EQ(Log("a").out, "to stdout\nunfinished");
  EXPECT_EQ(Log("a").err, "to stderr\n");
  EXPECT_EQ(Log("a").malformed, 0u);
  // The shim itself is in the pod's leaf.
  auto leaf = tree_->OpenGroup(cgroup_ + "/shim");
  ASSERT_TRUE(leaf);
  const auto processes = leaf->Processes(Cgroup::Depth::kGroup).value();
  EXPECT_NE(std::find(processes.begin(), processes.end(), ShimPid()), processes.end());
  ASSERT_TRUE(client_->RemoveContainer(ContainerId("a"), Soon()));
  ASSERT_TRUE(client_->DestroySandbox(Soon()));
  ASSERT_TRUE(client_->Shutdown(Soon()));
}

TEST_F(NamespaceShimTest, ExecUsesTheCallersDescriptorsAndStdinCanBeClosed) {
  ASSERT_TRUE(SpawnPod());
  ASSERT_TRUE(CreateShell("a", "busybox cat; echo stdin ended; exec busybox sleep 1000", true));
  ASSERT_TRUE(Start("a"));
  auto in = MakePipe().value();
  auto out = MakePipe().value();
  auto err = MakePipe().value();
  pod::ExecRequest exec;
  exec.set_container_id("a");
  exec.set_exec_id("e");
  for (const char* arg : {"busybox", "sh", "-c", "busybox cat; echo problem >&2; exit 9"})
    exec.add_args(arg);
  Stdio stdio;
  stdio.in = std::move(in.read_end);
  stdio.out = std::move(out.write_end);
  stdio.err = std::move(err.write_end);
  auto started = client_->Exec(exec, std::move(stdio), Soon());
  ASSERT_TRUE(started) << started.error().message;
  ASSERT_TRUE(WriteAll(in.write_end.get(), "question"));
  in.write_end.Reset();
  EXPECT_EQ(ReadAll(out.read_end.get(), 1000).value(), "question");
  EXPECT_EQ(ReadAll(err.read_end.get(), 1000).value(), "problem\n");
  EXPECT_EQ(events_.ExitOf("a", "e").exit_code(), 9);
  pod::CloseStdinRequest close;
  close.mutable_process()->set_container_id("a");
  ASSERT_TRUE(client_->CloseStdin(close, Soon()));
  const Deadline deadline = Soon();
  while (Log("a").out.empty() && !deadline.expired())
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(Log("a").out, "stdin ended\n");
}

TEST_F(NamespaceShimTest, AContainerOutlivesTheDaemonAndLosesNothing) {
  ASSERT_TRUE(SpawnPod());
  ASSERT_TRUE(
      CreateShell("a", "busybox seq 1 50000; echo middle; busybox seq 50001 400000; exit 5"));
  ASSERT_TRUE(Start("a"));
  client_.reset();
  manager_.reset();
  NewManager();
  auto client = manager_->Reconnect(PodId("pod"), paths_, events_.Events(), Soon());
  ASSERT_TRUE(client) << client.error().message;
  client_ = *client;
  const Deadline deadline = Soon();
  spec::ContainerStatus status;
  while (status.state() != spec::EXITED && !deadline.expired()) {
    status = client_->List(Soon())->containers(0);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(status.exit().exit_code(), 5);
  std::string expected;
  for (int i = 1; i <= 400000; ++i) {
    expected += std::to_string(i) + "\n";
    if (i == 50000) expected += "middle\n";
  }
  EXPECT_TRUE(Log("a").out == expected) << Log("a").out.size() << " of " << expected.size();
}

TEST_F(NamespaceShimTest, AKilledShimIsGoneAtOnceEvenWithUnstartedContainers) {
  ASSERT_TRUE(SpawnPod());
  ASSERT_TRUE(CreateShell("created", "exit 0"));
  ASSERT_TRUE(CreateShell("running", "exec busybox sleep 1000"));
  ASSERT_TRUE(CreateShell("ended", "exit 4"));
  ASSERT_TRUE(Start("running"));
  ASSERT_TRUE(Start("ended"));
  EXPECT_EQ(events_.ExitOf("ended").exit_code(), 4);
  KillShim();
  ASSERT_TRUE(events_.WaitGone());
  EXPECT_TRUE(ShimManager::IsGone(paths_));
  const auto journal = ShimManager::ReadJournal(paths_).value();
  ASSERT_EQ(journal.size(), 1u);
  EXPECT_EQ(journal[0].exit().exit_code(), 4);
}

TEST_F(NamespaceShimTest, AProgramThatDoesNotExistFailsTheStartAndIsListedAsEnded) {
  ASSERT_TRUE(SpawnPod());
  pod::CreateContainerRequest request;
  request.mutable_container()->set_format_version(1);
  request.mutable_container()->set_container_id("a");
  request.mutable_container()->set_pid(spec::CONTAINER);
  request.mutable_container()->mutable_rootfs()->add_lower_directories(folder_ / "image");
  request.mutable_container()->mutable_rootfs()->set_writable_directory(folder_ / "data/a");
  request.mutable_container()->mutable_process()->add_args("/no/such/program");
  ASSERT_TRUE(client_->CreateContainer(request, Soon()));
  auto started = client_->StartContainer(ContainerId("a"), Soon());
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("/no/such/program"), std::string::npos)
      << started.error().message;
  const auto list = client_->List(Soon()).value();
  EXPECT_EQ(list.containers(0).state(), spec::EXITED);
  EXPECT_EQ(list.containers(0).exit().exit_code(), 128);
}

TEST_F(NamespaceShimTest, ItsDeathAtAnyStepLeavesNothingThatTheCgroupDoesNotEnd) {
  const auto mounts = ReadFile("/proc/self/mountinfo").value();
  int deaths = 0;
  for (int step = 1; step < 200; ++step) {
    setenv("CATAMARAN_ABORT_AT", fmt::format("shim:{}", step).c_str(), 1);
    Status status = SpawnPod();
    unsetenv("CATAMARAN_ABORT_AT");
    if (status) status = CreateShell("a", "echo hello; exit 5");
    if (status) status = Start("a");
    if (status) {
      ASSERT_TRUE(events_.WaitFor(
          [](const auto& events, int gone) { return gone > 0 || !events.empty(); }));
    }
    if (status) status = client_->RemoveContainer(ContainerId("a"), Soon());
    if (status) status = client_->DestroySandbox(Soon());
    if (status) status = client_->Shutdown(Soon());
    if (!status) {
      ++deaths;
      EXPECT_TRUE(ShimManager::IsGone(paths_)) << step << ": " << status.error().message;
    }
    client_.reset();
    EndPod();
    EXPECT_EQ(ReadFile("/proc/self/mountinfo").value(), mounts) << step;
    if (status) {
      EXPECT_GE(deaths, 5);
      return;
    }
    events_.Reset();
  }
  FAIL() << "it never ran out of steps";
}

}  // namespace
}  // namespace catamaran

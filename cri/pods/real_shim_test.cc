// The daemon's pods upon real shim processes with the fake backend: what a fake shim cannot show.
#include <signal.h>

#include <fstream>

#include "cri/pods/testing/real_shim.h"

namespace catamaran {
namespace {

TEST_F(RealShim, APodsWholeLifeLeavesNoProcessAndNoFile) {
  auto request = PodRequest("web");
  request.mutable_config()->set_log_directory((folder_ / "logs").string());
  ASSERT_OK(MakeDirectories((folder_ / "logs").value()));
  const auto ran = RunPodSandbox(request, Call(), *pods_);
  ASSERT_OK(ran);
  const std::string pod = ran->pod_sandbox_id();
  const pid_t shim = ShimOf(pod);
  ASSERT_GT(shim, 0);
  auto create = ContainerRequest(pod, "main", {"print", "hello"});
  create.mutable_config()->set_log_path("main.log");
  const auto container = CreateContainer(create, Call(), *pods_);
  ASSERT_OK(container);
  ASSERT_OK(Start(container->container_id()));
  ASSERT_TRUE(AwaitExit(container->container_id()));
  const auto status = StatusOf(container->container_id());
  EXPECT_EQ(status.reason(), "Completed");
  const auto log = ReadFile(status.log_path());
  ASSERT_OK(log);
  EXPECT_NE(log->find(" stdout F hello\n"), std::string::npos) << *log;
  ASSERT_OK(StopSandbox(pod));
  EXPECT_TRUE(ShimManager::IsGone(PathsOf(pod)));
  EXPECT_NE(kill(shim, 0), 0);
  ASSERT_OK(RemoveSandbox(pod));
  ExpectNothingLeft();
}

TEST_F(RealShim, ExecSyncCarriesOutputExitCodeAndTimeout) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  v1::ExecSyncRequest request;
  request.set_container_id(*container);
  request.add_cmd("print");
  request.add_cmd("hello");
  const auto printed = ExecSync(request, Call(), *pods_);
  ASSERT_OK(printed);
  EXPECT_EQ(printed->stdout(), "hello\n");
  request.clear_cmd();
  request.add_cmd("exit");
  request.add_cmd("3");
  EXPECT_EQ(ExecSync(request, Call(), *pods_)->exit_code(), 3);
  request.clear_cmd();
  request.add_cmd("sleep");
  request.set_timeout(1);
  EXPECT_EQ(ExecSync(request, Call(), *pods_).error().code, ErrorCode::kDeadlineExceeded);
}

TEST_F(RealShim, ContainersOutliveTheDaemonAndTheirExitsAreNotLost) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto stays = Create(*pod, "stays"), ends = Create(*pod, "ends");
  ASSERT_OK(stays);
  ASSERT_OK(ends);
  ASSERT_OK(Start(*stays));
  ASSERT_OK(Start(*ends));
  pods_.reset();
  {
    auto shims = NewShimManager();
    auto shim = shims->Reconnect(PodId(*pod), PathsOf(*pod), {}, Call().deadline);
    ASSERT_OK(shim);
    pod::SignalRequest signal;
    signal.mutable_process()->set_container_id(*ends);
    signal.set_signal(SIGINT);
    ASSERT_OK((*shim)->Signal(signal, Call().deadline));
  }
  StartDaemon();
  EXPECT_EQ(SandboxOf(*pod).status().state(), v1::SANDBOX_READY);
  EXPECT_EQ(StatusOf(*stays).state(), v1::CONTAINER_RUNNING);
  ASSERT_TRUE(AwaitExit(*ends));
  EXPECT_EQ(StatusOf(*ends).exit_code(), 128 + SIGINT);
  ASSERT_OK(Stop(*stays, 30));
  EXPECT_EQ(StatusOf(*stays).exit_code(), 128 + SIGTERM);
}

TEST_F(RealShim, AKilledShimCostsItsPodAndWhatItWroteDownIsBelieved) {
  const auto pod = Run("lost"), other = Run("other");
  ASSERT_OK(pod);
  ASSERT_OK(other);
  const auto ended = Create(*pod, "ended", {"exit", "5"}), running = Create(*pod, "running");
  ASSERT_OK(ended);
  ASSERT_OK(running);
  ASSERT_OK(Start(*ended));
  ASSERT_OK(Start(*running));
  ASSERT_TRUE(AwaitExit(*ended));
  ASSERT_EQ(kill(ShimOf(*pod), SIGKILL), 0);
  ASSERT_TRUE(Await([&] { return SandboxOf(*pod).status().state() == v1::SANDBOX_NOTREADY; }));
  ASSERT_TRUE(AwaitExit(*running));
  EXPECT_EQ(StatusOf(*running).exit_code(), 255);
  EXPECT_EQ(StatusOf(*running).reason(), "Unknown");
  EXPECT_EQ(StatusOf(*ended).exit_code(), 5);
  EXPECT_EQ(SandboxOf(*other).status().state(), v1::SANDBOX_READY);
}

TEST_F(RealShim, ExitsThatOnlyTheJournalOfADeadShimKnowsAreBelieved) {
  const auto pod = Run("lost");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  pods_.reset();
  {
    auto shims = NewShimManager();
    auto shim = shims->Reconnect(PodId(*pod), PathsOf(*pod), {}, Call().deadline);
    ASSERT_OK(shim);
    pod::SignalRequest signal;
    signal.mutable_process()->set_container_id(*container);
    signal.set_signal(SIGINT);
    ASSERT_OK((*shim)->Signal(signal, Call().deadline));
  }
  ASSERT_TRUE(Await([&] { return ShimManager::ReadJournal(PathsOf(*pod))->size() == 1; }));
  ASSERT_EQ(kill(ShimOf(*pod), SIGKILL), 0);
  ASSERT_TRUE(Await([&] { return ShimManager::IsGone(PathsOf(*pod)); }));
  StartDaemon();
  EXPECT_EQ(SandboxOf(*pod).status().state(), v1::SANDBOX_NOTREADY);
  EXPECT_EQ(StatusOf(*container).exit_code(), 128 + SIGINT);
}

TEST_F(RealShim, AStoppedShimHoldsUpNeitherItsEndNorOtherPods) {
  const auto pod = Run("frozen"), other = Run("other");
  ASSERT_OK(pod);
  ASSERT_OK(other);
  const auto neighbour = Create(*other, "main", {"exit", "7"});
  ASSERT_OK(neighbour);
  ASSERT_EQ(kill(ShimOf(*pod), SIGSTOP), 0);
  ASSERT_OK(Start(*neighbour));
  ASSERT_TRUE(AwaitExit(*neighbour));
  EXPECT_EQ(StatusOf(*neighbour).exit_code(), 7);
  ASSERT_OK(StopSandbox(*pod));
  ASSERT_OK(RemoveSandbox(*pod));
  EXPECT_EQ(SandboxIds(), std::vector{*other});
}

}  // namespace
}  // namespace catamaran

// What is shown of control groups, limits, what is used, freezing, and ports of the sandbox.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "sandbox/backend/engine_fixture.h"
#include "sandbox/kernel/cgroup.h"

namespace catamaran {
namespace {

using ControlGroups = EngineTest;
using Limits = EngineTest;
using StatsOfASandbox = EngineTest;
using Freezing = EngineTest;
using Ports = EngineTest;

// What Kubernetes' suite asks to learn which cgroup version a container is on.
TEST_F(ControlGroups, AV2HierarchyBesideV1IsNotShown) {
  auto tree = CgroupTree::Open();
  ASSERT_TRUE(tree);
  if ((*tree)->kind() != CgroupTree::Kind::kHybrid)
    GTEST_SKIP() << "this machine's control groups are not v1 with v2 beside it";
  const std::string v2 = "mount-options:/sys/fs/cgroup/" + (*tree)->Unified()->mount;
  CreateSandbox();
  auto report = Run(std::vector<std::string>{v2, "mount-options:/sys/fs/cgroup/memory"});
  EXPECT_EQ(report["mount-options /sys/fs/cgroup/" + (*tree)->Unified()->mount], "none");
  EXPECT_NE(report["mount-options /sys/fs/cgroup/memory"], "none");
}

TEST_F(Limits, AMemoryHogIsOomKilledWith137) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"allocate:256", "exit:0"});
  spec.mutable_resources()->set_memory_limit_bytes(48 << 20);
  spec.mutable_resources()->set_memory_swap_limit_bytes(48 << 20);
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  const auto exit = WaitExit("one");
  EXPECT_EQ(exit.exit_code(), 137);
  EXPECT_TRUE(exit.oom_killed());
  EXPECT_TRUE(std::any_of(events_.begin(), events_.end(), [](const auto& event) {
    return event.has_oom() && event.oom().container_id() == "one";
  }));
}

TEST_F(Limits, AHogInAnExecIsReportedAndTheContainerLives) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"echo:ready", "forever"});
  spec.mutable_resources()->set_memory_limit_bytes(48 << 20);
  spec.mutable_resources()->set_memory_swap_limit_bytes(48 << 20);
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  ASSERT_TRUE(Exec("one", "hog", {"/probe", "allocate:256"}));
  EXPECT_TRUE(WaitExit("one", "hog").oom_killed());
  EXPECT_TRUE(Await([&] {
    return std::any_of(events_.begin(), events_.end(),
                       [](const auto& event) { return event.has_oom(); });
  }));
  EXPECT_EQ(List().containers(0).state(), spec::RUNNING);
}

TEST_F(Limits, APidsHogIsStopped) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"forks:50"});
  spec.mutable_resources()->set_pids_limit(8);
  EXPECT_EQ(Run(spec)["forks"], "7");
}

TEST_F(Limits, AreChangedWhileTheContainerRuns) {
  CreateSandbox();
  StartForever("one");
  pod::UpdateResourcesRequest request;
  request.set_container_id("one");
  request.mutable_resources()->set_pids_limit(4);
  ASSERT_TRUE(
      Complete<void>([&](auto done) { backend_->UpdateResources(request, std::move(done)); }));
  ASSERT_TRUE(Exec("one", "e1", {"/probe", "forks:20"}));
  WaitExit("one", "e1");
  EXPECT_EQ(ParseReport(Stdout("one", "e1"))["forks"], "2");
}

TEST_F(StatsOfASandbox, CountWhatItsContainersUse) {
  CreateSandbox();
  StartForever("one", {"allocate:8", "write:/file:" + std::string(20000, 'x')});
  auto stats =
      Complete<pod::StatsResponse>([&](auto done) { backend_->Stats({}, std::move(done)); });
  ASSERT_TRUE(stats) << stats.error().message;
  ASSERT_EQ(stats->stats().containers_size(), 1);
  const auto& container = stats->stats().containers(0);
  EXPECT_EQ(container.container_id(), "one");
  EXPECT_GT(container.group().cpu().usage_ns(), 0U);
  EXPECT_GE(container.group().memory().usage_bytes(), 8U << 20);
  EXPECT_EQ(container.group().pids(), 1U);
  EXPECT_GT(container.group().timestamp_ns(), 0);
  EXPECT_GE(container.writable_layer().used_bytes(), 20000U);
  EXPECT_GE(container.writable_layer().inodes_used(), 2U);
  EXPECT_GE(stats->stats().pod().memory().usage_bytes(), 8U << 20);
}

TEST_F(StatsOfASandbox, AreAsMuchAsWasAskedFor) {
  CreateSandbox();
  StartForever("one", {"open:10", "sockets:3", "allocate:8"});
  WaitForOutput("one", "allocate=ok");
  const auto read = [&](pod::StatsRequest::Extent extent) {
    pod::StatsRequest request;
    request.set_extent(extent);
    auto stats =
        Complete<pod::StatsResponse>([&](auto done) { backend_->Stats(request, std::move(done)); });
    EXPECT_TRUE(stats) << stats.error().message;
    return stats ? stats->stats() : spec::SandboxStats();
  };
  const auto containers = read(pod::StatsRequest::CONTAINERS);
  ASSERT_EQ(containers.containers_size(), 1);
  EXPECT_GE(containers.containers(0).group().memory().usage_bytes(), 8U << 20);
  EXPECT_FALSE(containers.has_pod());
  const auto plain = read(pod::StatsRequest::SANDBOX);
  EXPECT_TRUE(plain.has_pod());
  EXPECT_FALSE(plain.containers(0).has_processes());

  const auto details = read(pod::StatsRequest::DETAILS);
  ASSERT_EQ(details.containers_size(), 1);
  const auto& container = details.containers(0);
  EXPECT_EQ(container.processes().processes(), 1u);
  EXPECT_EQ(container.processes().file_descriptors(), 3u + 10 + 3);
  EXPECT_EQ(container.processes().sockets(), 3u);
  EXPECT_GT(container.processes().soft_open_files(), 0u);
  EXPECT_EQ(container.group().pids(), 1u);
  EXPECT_TRUE(container.group().has_io());
  EXPECT_GT(container.writable_layer().capacity_bytes(), 0u);
  EXPECT_GE(container.writable_layer().inodes_used(), 1u);
  EXPECT_GE(container.group().memory().max_usage_bytes(), 8U << 20);
  EXPECT_GT(container.group().memory().kernel_bytes(), 0u);
  // Where this kernel accounts for pressure it does so for each group.
  const bool pressure = ReadFile("/proc/pressure/cpu").has_value();
  EXPECT_EQ(container.group().cpu().has_pressure(), pressure);
  EXPECT_EQ(container.group().memory().has_pressure(), pressure);
  EXPECT_EQ(container.group().has_io_pressure(), pressure);
}

TEST_F(StatsOfASandbox, DetailsAreReadForAllWhoAskAtOnce) {
  CreateSandbox();
  StartForever("one");
  pod::StatsRequest request;
  request.set_extent(pod::StatsRequest::DETAILS);
  int answers = 0;
  for (int i = 0; i < 5; ++i)
    backend_->Stats(request, [&](Result<pod::StatsResponse> stats) {
      ASSERT_TRUE(stats) << stats.error().message;
      EXPECT_EQ(stats->stats().containers(0).processes().processes(), 1u);
      ++answers;
    });
  EXPECT_TRUE(Await([&] { return answers == 5; }));
}

TEST_F(Limits, OfTheSandboxHoldForAllItsContainersTogether) {
  CreateSandbox();
  StartForever("neighbour");
  pod::UpdateResourcesRequest request;
  request.mutable_resources()->set_memory_limit_bytes(48 << 20);
  const auto limit = [&] {
    return Complete<void>([&](auto done) { backend_->UpdateResources(request, std::move(done)); });
  };
  const auto limited = limit();
  ASSERT_TRUE(limited) << limited.error().message;
  ASSERT_TRUE(Create(ProbeSpec("one", {"allocate:256", "exit:0"})));
  ASSERT_TRUE(Start("one"));
  const auto exit = WaitExit("one");
  EXPECT_EQ(exit.exit_code(), 137);
  EXPECT_TRUE(exit.oom_killed());
  // Overhead is on top.
  request.mutable_overhead()->set_memory_limit_bytes(512 << 20);
  ASSERT_TRUE(limit());
  EXPECT_EQ(Run({"allocate:64", "exit:0"})["allocate"], "ok");
}

TEST_F(Limits, OfTheSandboxBelowItsUseAreRefused) {
  CreateSandbox();
  StartForever("one", {"allocate:64"});
  WaitForOutput("one", "allocate=ok");
  pod::UpdateResourcesRequest request;
  request.mutable_resources()->set_memory_limit_bytes(32 << 20);
  const auto limited =
      Complete<void>([&](auto done) { backend_->UpdateResources(request, std::move(done)); });
  ASSERT_FALSE(limited);
  EXPECT_EQ(limited.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(List().containers(0).state(), spec::RUNNING);
}

TEST_F(Freezing, StopsEveryProcessUntilItIsThawed) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"wait-file:/volume/go", "echo:went"});
  spec.add_mounts()->set_container_path("/volume");
  spec.mutable_mounts(0)->set_host_path(folder_ / "volume");
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  ASSERT_TRUE(Complete<void>([&](auto done) { backend_->Pause(std::move(done)); }));
  std::ofstream(folder_ / "volume/go").put('x');
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(5)));
  EXPECT_TRUE(events_.empty());
  ASSERT_TRUE(Complete<void>([&](auto done) { backend_->Resume(std::move(done)); }));
  EXPECT_EQ(WaitExit("one").exit_code(), 0);
}

TEST_F(Freezing, AFrozenContainerCanBeRemoved) {
  CreateSandbox();
  StartForever("one");
  ASSERT_TRUE(Complete<void>([&](auto done) { backend_->Pause(std::move(done)); }));
  EXPECT_TRUE(Remove("one"));
}

TEST_F(Ports, AreDialledInsideTheSandbox) {
  CreateSandbox();
  ASSERT_TRUE(Create(ProbeSpec("one", {"listen:8080"})));
  ASSERT_TRUE(Start("one"));
  WaitForOutput("one", "listen=ok");
  pod::DialPortRequest request;
  request.set_port(8080);
  auto socket =
      Complete<UniqueFd>([&](auto done) { backend_->DialPort(request, std::move(done)); });
  ASSERT_TRUE(socket) << socket.error().message;
  std::string greeting;
  EXPECT_TRUE(Await([&] {
    char buffer[64];
    const ssize_t count = recv(socket->get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count > 0) greeting.append(buffer, count);
    return greeting == "hello from the pod\n";
  }));
  request.set_port(8081);
  EXPECT_FALSE(
      Complete<UniqueFd>([&](auto done) { backend_->DialPort(request, std::move(done)); }));
  request.set_port(70000);
  EXPECT_EQ(Complete<UniqueFd>([&](auto done) { backend_->DialPort(request, std::move(done)); })
                .error()
                .code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace catamaran

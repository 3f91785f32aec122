// Limits and stats: a hog is stopped by its own limit, what it used is reported.
#include "e2e/harness/pod_test.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Limits : public PodTest {
 protected:
  static v1::LinuxContainerResources* ResourcesOf(v1::ContainerConfig& config) {
    return config.mutable_linux()->mutable_resources();
  }
  v1::ContainerStats StatsOf(const std::string& container) {
    v1::ContainerStatsRequest request;
    request.set_container_id(container);
    auto reply = cri().ContainerStats(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    return reply->stats();
  }
  // The part of one CPU that a container used over four seconds.
  double CpuUseOf(const std::string& container) {
    const auto start = StatsOf(container).cpu();
    EXPECT_TRUE(WaitUntil(
        [&] { return StatsOf(container).cpu().timestamp() - start.timestamp() > 4'000'000'000; }));
    const auto end = StatsOf(container).cpu();
    return static_cast<double>(end.usage_core_nano_seconds().value() -
                               start.usage_core_nano_seconds().value()) /
           static_cast<double>(end.timestamp() - start.timestamp());
  }
};

TEST_P(Limits, AMemoryHogIsKilledByItsOwnLimitAndSaysSo) {
  const std::string pod = RunPod();
  const std::string neighbour = StartSleeper(pod, "neighbour");
  // No newline ever comes, so tail keeps everything.
  auto config = ContainerConfig("hog", {"/bin/tail", "/dev/zero"});
  ResourcesOf(config)->set_memory_limit_in_bytes(32 << 20);
  const Ended ended = RunToEnd(pod, config);
  EXPECT_EQ(ended.exit_code, 137);
  EXPECT_EQ(ended.reason, "OOMKilled");
  EXPECT_EQ(StatusOf(neighbour).state(), v1::CONTAINER_RUNNING);
}

TEST_P(Limits, AKillIsNotCalledAnOomKill) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  v1::StopContainerRequest stop;
  stop.set_container_id(id);
  ASSERT_TRUE(cri().StopContainer(stop).ok());
  EXPECT_EQ(StatusOf(id).exit_code(), 137);
  EXPECT_EQ(StatusOf(id).reason(), "Error");
}

TEST_P(Limits, ACpuHogIsThrottled) {
  const std::string pod = RunPod();
  auto config = ShellConfig("hog", "while :; do :; done");
  ResourcesOf(config)->set_cpu_period(100'000);
  ResourcesOf(config)->set_cpu_quota(10'000);  // a tenth of a CPU
  const std::string id = CreateAndStart(pod, config);
  const double used = CpuUseOf(id);
  EXPECT_GT(used, 0);
  EXPECT_LT(used, 0.2);
}

TEST_P(Limits, AnUpdateThrottlesACpuHogThatRuns) {
  const std::string id = CreateAndStart(RunPod(), ShellConfig("hog", "while :; do :; done"));
  v1::UpdateContainerResourcesRequest update;
  update.set_container_id(id);
  update.mutable_linux()->set_cpu_period(100'000);
  update.mutable_linux()->set_cpu_quota(10'000);
  auto reply = cri().UpdateContainerResources(update);
  ASSERT_TRUE(reply.ok()) << reply.message();
  EXPECT_EQ(StatusOf(id).resources().linux().cpu_quota(), 10'000);
  const double used = CpuUseOf(id);
  EXPECT_GT(used, 0);
  EXPECT_LT(used, 0.2);
}

TEST_P(Limits, AContainerRunsOnItsCpusOnlyOrIsRefusedByName) {
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/self/status");
  ResourcesOf(config)->set_cpuset_cpus("1");
  if (!on_vm()) {
    EXPECT_EQ(RunToEnd(pod, config).out, "1\n");
    return;
  }
  // A guest's CPUs are not the host's that the kubelet counts.
  auto reply = TryCreate(pod, config);
  EXPECT_EQ(reply.code(), ErrorCode::kInvalidArgument) << reply.message();
  EXPECT_NE(reply.message().find("cpuset_cpus"), std::string::npos) << reply.message();
}

TEST_P(Limits, AHugePageHogStopsAtItsLimitOrIsRefusedByName) {
  constexpr char kReserved[] = "/proc/sys/vm/nr_hugepages";
  constexpr uint64_t kPage = 2 << 20;
  const std::string pod = RunPod();
  const auto hog = [&](const std::string& name, uint64_t bytes) {
    auto config = ContainerConfig(name, {"/bin/probe", "huge", std::to_string(bytes)});
    auto* limit = ResourcesOf(config)->add_hugepage_limits();
    limit->set_page_size("2MB");
    limit->set_limit(kPage);
    return config;
  };
  if (on_vm()) {  // a guest has no huge pages of the host
    auto reply = TryCreate(pod, hog("hog", kPage));
    EXPECT_EQ(reply.code(), ErrorCode::kInvalidArgument) << reply.message();
    EXPECT_NE(reply.message().find("hugepage_limits"), std::string::npos) << reply.message();
    return;
  }
  const auto before = ReadFile(kReserved);
  if (!before) GTEST_SKIP() << "this kernel has no huge pages";
  const Cleanup give_back([=] { (void)WriteExisting(kReserved, *before); });
  const int pages = atoi(before->c_str()) + 4;
  if (!WriteExisting(kReserved, std::to_string(pages)) ||
      atoi(ReadFile(kReserved)->c_str()) < pages)
    GTEST_SKIP() << "this host has no four huge pages to give";
  const Ended within = RunToEnd(pod, hog("within", kPage));
  EXPECT_EQ(within.exit_code, 0) << within.err;
  const Ended beyond = RunToEnd(pod, hog("beyond", 2 * kPage));
  EXPECT_NE(beyond.exit_code, 0);
  EXPECT_EQ(beyond.out, "");
}

TEST_P(Limits, APidsHogStopsAtItsLimit) {
  const std::string pod = RunPod();
  // 200 processes at most, whether or not the limit works: a test must not harm its machine.
  auto config =
      ShellConfig("hog", "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; echo all");
  (*ResourcesOf(config)->mutable_unified())["pids.max"] = "50";
  const Ended ended = RunToEnd(pod, config);
  EXPECT_EQ(ended.out.find("all"), std::string::npos) << ended.out;
  EXPECT_NE(ended.err.find("fork"), std::string::npos) << ended.err;
}

TEST_P(Limits, OomScoreAdjustmentIsApplied) {
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "cat /proc/self/oom_score_adj");
  ResourcesOf(config)->set_oom_score_adj(900);
  EXPECT_EQ(RunToEnd(pod, config).out, "900\n");
}

TEST_P(Limits, AnUpdateTakesEffectAndIsReported) {
  const std::string pod = RunPod();
  // Takes memory when told to.
  auto config = ShellConfig("main", "while [ ! -e /go ]; do sleep 0.2; done; exec tail /dev/zero");
  ResourcesOf(config)->set_memory_limit_in_bytes(64 << 20);
  ResourcesOf(config)->set_cpu_shares(512);
  const std::string id = CreateAndStart(pod, config);
  EXPECT_EQ(StatusOf(id).resources().linux().memory_limit_in_bytes(), 64 << 20);
  v1::UpdateContainerResourcesRequest update;
  update.set_container_id(id);
  update.mutable_linux()->set_memory_limit_in_bytes(24 << 20);
  auto reply = cri().UpdateContainerResources(update);
  ASSERT_TRUE(reply.ok()) << reply.message();
  const auto resources = StatusOf(id).resources().linux();
  EXPECT_EQ(resources.memory_limit_in_bytes(), 24 << 20);
  EXPECT_EQ(resources.cpu_shares(), 512);  // what an update does not name stays
  Output(id, "touch /go");
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  EXPECT_EQ(StatusOf(id).reason(), "OOMKilled");
}

TEST_P(Limits, StatsOfContainersAreThere) {
  const std::string pod = RunPod();
  const std::string id = CreateAndStart(
      pod, ShellConfig("main", "head -c 3000000 /dev/urandom > /data; while :; do sleep 1; done"));
  ASSERT_TRUE(WaitUntil([&] { return Output(id, "wc -c < /data || true") == "3000000\n"; }));
  Output(id, "sync");
  ASSERT_TRUE(WaitUntil([&] {
    const auto stats = StatsOf(id);
    return stats.cpu().usage_core_nano_seconds().value() > 0 &&
           stats.memory().usage_bytes().value() > 0 &&
           stats.writable_layer().used_bytes().value() >= 3'000'000;
  })) << StatsOf(id).ShortDebugString();
  const auto stats = StatsOf(id);
  EXPECT_EQ(stats.attributes().id(), id);
  EXPECT_EQ(stats.attributes().metadata().name(), "main");
  EXPECT_GT(stats.cpu().timestamp(), 0);
  EXPECT_GT(stats.memory().timestamp(), 0);
  EXPECT_GT(stats.memory().working_set_bytes().value(), 0u);
  v1::ListContainerStatsRequest list;
  list.mutable_filter()->set_pod_sandbox_id(pod);
  auto listed = cri().ListContainerStats(list);
  ASSERT_TRUE(listed.ok()) << listed.message();
  ASSERT_EQ(listed->stats_size(), 1);
  EXPECT_EQ(listed->stats(0).attributes().id(), id);
}

TEST_P(Limits, StatsOfPodsAreThere) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  v1::PodSandboxStatsRequest request;
  request.set_pod_sandbox_id(pod);
  auto reply = cri().PodSandboxStats(request);
  ASSERT_TRUE(reply.ok()) << reply.message();
  const auto& stats = reply->stats().linux();
  EXPECT_EQ(reply->stats().attributes().id(), pod);
  EXPECT_GT(stats.cpu().usage_core_nano_seconds().value(), 0u);
  EXPECT_GT(stats.memory().usage_bytes().value(), 0u);
  EXPECT_EQ(stats.network().default_interface().name(), "eth0");
  EXPECT_GE(stats.process().process_count().value(), 1u);
  ASSERT_EQ(stats.containers_size(), 1);
  EXPECT_EQ(stats.containers(0).attributes().id(), id);
  auto all = cri().ListPodSandboxStats({});
  ASSERT_TRUE(all.ok()) << all.message();
  EXPECT_EQ(all->stats_size(), 1);
}

TEST_P(Limits, StatsOfTheUnknownAreNotFound) {
  v1::ContainerStatsRequest container;
  container.set_container_id(std::string(64, '0'));
  EXPECT_EQ(cri().ContainerStats(container).code(), ErrorCode::kNotFound);
  v1::PodSandboxStatsRequest pod;
  pod.set_pod_sandbox_id(std::string(64, '0'));
  EXPECT_EQ(cri().PodSandboxStats(pod).code(), ErrorCode::kNotFound);
}

CATAMARAN_ON_EVERY_HANDLER(Limits);

}  // namespace
}  // namespace catamaran::e2e

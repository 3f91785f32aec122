// What the kubelet's /metrics/cadvisor shows: each value is held against what the container did.
#include <map>
#include <set>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class Metrics : public PodTest {
 protected:
  v1::PodSandboxMetrics MetricsOf(const std::string& pod) {
    auto reply = cri().ListPodSandboxMetrics({});
    EXPECT_TRUE(reply.ok()) << reply.message();
    for (const auto& metrics : reply->pod_metrics())
      if (metrics.pod_sandbox_id() == pod) return metrics;
    ADD_FAILURE() << "no metrics of pod " << pod;
    return {};
  }
  // The samples of a container by name (the sum where there are several), or the pod's own.
  using Values = std::map<std::string, uint64_t>;
  static void Add(const v1::Metric& metric, Values* values) {
    (*values)[metric.name().substr(sizeof("container_") - 1)] += metric.value().value();
  }
  Values ValuesOf(const std::string& pod, const std::string& container) {
    Values values;
    const auto of_pod = MetricsOf(pod);
    for (const auto& one : of_pod.container_metrics())
      if (one.container_id() == container)
        for (const auto& metric : one.metrics()) Add(metric, &values);
    return values;
  }
  Values PodValues(const std::string& pod) {
    Values values;
    const auto of_pod = MetricsOf(pod);
    for (const auto& metric : of_pod.metrics()) Add(metric, &values);
    return values;
  }
  // The kernel that the containers run on accounts for pressure.
  bool HasPressure(const std::string& container) {
    return Output(container, "cat /proc/pressure/cpu 2>/dev/null || true").starts_with("some");
  }
};

TEST_P(Metrics, EveryDescriptorHasASampleWithItsLabels) {
  // As critest makes its container.
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "while :; do sleep 1; done");
  auto* resources = config.mutable_linux()->mutable_resources();
  resources->set_cpu_period(100'000);
  resources->set_cpu_quota(20'000);
  resources->set_cpu_shares(1024);
  resources->set_memory_limit_in_bytes(64 << 20);
  resources->set_memory_swap_limit_in_bytes(64 << 20);
  const std::string id = CreateAndStart(pod, config);
  auto descriptors = cri().ListMetricDescriptors({});
  ASSERT_TRUE(descriptors.ok()) << descriptors.message();
  EXPECT_EQ(descriptors->descriptors_size(), 58);

  const auto metrics = MetricsOf(pod);
  ASSERT_EQ(metrics.container_metrics_size(), 1);
  std::map<std::string, v1::Metric> samples;
  for (const auto& metric : metrics.metrics()) samples[metric.name()] = metric;
  for (const auto& metric : metrics.container_metrics(0).metrics()) samples[metric.name()] = metric;
  // What a kernel or a machine may not have.
  std::set<std::string> optional = {
      "container_blkio_device_usage_total", "container_fs_reads_bytes_total",
      "container_fs_reads_total",           "container_fs_writes_bytes_total",
      "container_fs_writes_total",          "container_hugetlb_max_usage_bytes",
      "container_hugetlb_usage_bytes"};
  if (!HasPressure(id))
    for (const char* kind : {"cpu", "memory", "io"})
      for (const char* how : {"stalled", "waiting"})
        optional.insert(fmt::format("container_pressure_{}_{}_seconds_total", kind, how));
  for (const auto& descriptor : descriptors->descriptors()) {
    const auto found = samples.find(descriptor.name());
    if (found == samples.end()) {
      EXPECT_TRUE(optional.contains(descriptor.name())) << descriptor.name();
      continue;
    }
    EXPECT_EQ(found->second.label_values_size(), descriptor.label_keys_size()) << descriptor.name();
    const auto& labels = found->second.label_values();
    EXPECT_EQ(labels[3], config_of(pod).metadata().name());
    EXPECT_EQ(labels[4], labels[0] == pod ? "POD" : "main");
  }
}

TEST_P(Metrics, CountWhatAContainerHolds) {
  const std::string pod = RunPod();
  constexpr int kFiles = 20, kSockets = 7, kThreads = 5, kChildren = 3;
  auto config = ContainerConfig("holder", {"/bin/probe", "hold", "20", "7", "5", "3", "24"});
  auto* resources = config.mutable_linux()->mutable_resources();
  resources->set_memory_limit_in_bytes(static_cast<int64_t>(96 * kMiB));
  resources->set_cpu_shares(512);
  (*resources->mutable_unified())["pids.max"] = "77";
  const std::string id = CreateAndStart(pod, config);
  ASSERT_TRUE(WaitUntil([&] { return TextOf(Log(id), "stdout") == "holding\n"; }));
  const auto values = ValuesOf(pod, id);
  EXPECT_EQ(values.at("processes"), 1u + kChildren);
  EXPECT_EQ(values.at("threads"), 1u + kChildren + kThreads);
  EXPECT_EQ(values.at("threads_max"), 77u);
  EXPECT_EQ(values.at("sockets"), static_cast<uint64_t>(kSockets));
  EXPECT_EQ(values.at("file_descriptors"), 3u + kFiles + kSockets);
  EXPECT_GE(values.at("memory_rss"), 24 * kMiB);
  EXPECT_LT(values.at("memory_rss"), 48 * kMiB);
  EXPECT_GE(values.at("memory_usage_bytes"), values.at("memory_rss"));
  EXPECT_GE(values.at("memory_max_usage_bytes"), values.at("memory_rss"));
  EXPECT_GT(values.at("memory_failures_total"), 0u);  // few, where pages are huge
  EXPECT_EQ(values.at("spec_memory_limit_bytes"), 96 * kMiB);
  EXPECT_EQ(values.at("spec_cpu_shares"), 512u);
  EXPECT_FALSE(values.contains("spec_cpu_quota"));
  EXPECT_EQ(std::to_string(values.at("ulimits_soft")) + "\n", Output(id, "ulimit -n"));
  EXPECT_EQ(values.at("start_time_seconds"),
            static_cast<uint64_t>(StatusOf(id).started_at() / 1'000'000'000));
  EXPECT_GE(values.at("last_seen"), values.at("start_time_seconds"));
}

TEST_P(Metrics, CountWhatAContainerWrote) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  const auto before = ValuesOf(pod, id);
  Output(id, "head -c 8388608 /dev/urandom > /data && sync");
  // Layers are walked every ten seconds at most.
  ASSERT_TRUE(WaitUntil([&] {
    return ValuesOf(pod, id).at("fs_usage_bytes") >= before.at("fs_usage_bytes") + 8 * kMiB;
  }));
  const auto values = ValuesOf(pod, id);
  EXPECT_LT(values.at("fs_usage_bytes"), 16 * kMiB);
  EXPECT_GT(values.at("fs_limit_bytes"), values.at("fs_usage_bytes"));
  EXPECT_GT(values.at("fs_inodes_total"), values.at("fs_inodes_free"));
  EXPECT_GE(values.at("memory_cache"), 4 * kMiB);
  if (!on_vm()) return;  // cgroup v1 does not know whose written pages reach the disk
  EXPECT_GE(values.at("fs_writes_bytes_total"), 8 * kMiB);
  EXPECT_GE(values.at("blkio_device_usage_total"), 8 * kMiB);
  EXPECT_GE(values.at("fs_writes_total"), 1u);
}

TEST_P(Metrics, CountThePodsPackets) {
  const std::string pod = RunPod(), other = RunPod();
  const std::string client = StartSleeper(pod);
  StartSleeper(other, "other");
  const std::string ping = "ping -c 5 -s 1000 " + IpOf(other) + " > /dev/null";
  Output(client, ping);  // the neighbours know each other afterwards
  const auto before = PodValues(pod);
  Output(client, ping);
  const auto after = PodValues(pod);
  for (const char* way : {"network_receive_", "network_transmit_"}) {
    const auto grown = [&](const std::string& what) {
      return after.at(way + what) - before.at(way + what);
    };
    EXPECT_GE(grown("packets_total"), 5u) << way;
    EXPECT_LT(grown("packets_total"), 40u) << way;
    EXPECT_GE(grown("bytes_total"), 5u * 1028) << way;
    EXPECT_LT(grown("bytes_total"), 40u * 1100) << way;
    EXPECT_EQ(grown("errors_total"), 0u) << way;
  }
  const auto of_pod = MetricsOf(pod);
  for (const auto& metric : of_pod.metrics()) EXPECT_EQ(metric.label_values(5), "eth0");
}

TEST_P(Metrics, CountThrottlingAndPressure) {
  const std::string pod = RunPod();
  auto config = ShellConfig("hog", "while :; do :; done");
  auto* resources = config.mutable_linux()->mutable_resources();
  resources->set_cpu_period(100'000);
  resources->set_cpu_quota(10'000);
  const std::string id = CreateAndStart(pod, config);
  EXPECT_TRUE(WaitUntil([&] {
    const auto values = ValuesOf(pod, id);
    return values.at("cpu_cfs_throttled_periods_total") >= 10 &&
           values.at("cpu_cfs_throttled_seconds_total") >= 1 &&
           values.at("cpu_usage_seconds_total") >= 1;
  }));
  const auto values = ValuesOf(pod, id);
  EXPECT_GE(values.at("cpu_cfs_periods_total"), values.at("cpu_cfs_throttled_periods_total"));
  EXPECT_EQ(values.at("spec_cpu_quota"), 10'000u);
  EXPECT_EQ(values.at("spec_cpu_period"), 100'000u);

  v1::ContainerStatsRequest request;
  request.set_container_id(id);
  auto stats = cri().ContainerStats(request);
  ASSERT_TRUE(stats.ok()) << stats.message();
  const bool pressure = HasPressure(StartSleeper(pod));
  EXPECT_EQ(stats->stats().cpu().has_psi(), pressure);
  EXPECT_EQ(stats->stats().memory().psi().has_some(), pressure);
  EXPECT_EQ(stats->stats().io().psi().has_some(), pressure);
  EXPECT_EQ(values.contains("pressure_cpu_waiting_seconds_total"), pressure);
  if (!pressure) GTEST_SKIP() << "this kernel does not account for pressure";
  // A throttled task waits for a CPU.
  EXPECT_GT(stats->stats().cpu().psi().some().total(), 500'000u);
  EXPECT_TRUE(
      WaitUntil([&] { return ValuesOf(pod, id).at("pressure_cpu_waiting_seconds_total") >= 1; }));
}

TEST_P(Metrics, CountOomKillsAndHitsOfTheLimit) {
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "while :; do sleep 1; done");
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(
      static_cast<int64_t>(24 * kMiB));
  const std::string id = CreateAndStart(pod, config);
  EXPECT_EQ(ValuesOf(pod, id).at("oom_events_total"), 0u);
  auto hog = Exec(id, {"/bin/tail", "/dev/zero"});
  ASSERT_TRUE(hog.ok()) << hog.message();
  EXPECT_EQ(hog->exit_code(), 137);
  const auto values = ValuesOf(pod, id);
  EXPECT_GE(values.at("oom_events_total"), 1u);
  // On cgroup v1 the limit on memory with swap is hit, and newer kernels do not count that.
  if (on_vm() || !Exists("/sys/fs/cgroup/memory/memory.memsw.failcnt")) {
    EXPECT_GE(values.at("memory_failcnt"), 1u);
    EXPECT_GE(values.at("memory_events_max_total"), 1u);
  }
  EXPECT_GE(values.at("memory_max_usage_bytes"), 20 * kMiB);
}

TEST_P(Metrics, StreamedAreTheSame) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  auto streamed = cri().StreamPodSandboxMetrics({});
  ASSERT_TRUE(streamed.ok()) << streamed.message();
  ASSERT_EQ(streamed.response.size(), 1u);
  ASSERT_EQ(streamed.response[0].pod_sandbox_metrics_size(), 1);
  const auto& one = streamed.response[0].pod_sandbox_metrics(0);
  EXPECT_EQ(one.pod_sandbox_id(), pod);
  ASSERT_EQ(one.container_metrics_size(), 1);
  EXPECT_EQ(one.container_metrics(0).container_id(), id);
  EXPECT_EQ(one.container_metrics(0).metrics_size(),
            MetricsOf(pod).container_metrics(0).metrics_size());
}

TEST_P(Metrics, AreOfWhatRunsOnly) {
  const std::string pod = RunPod();
  Create(pod, ShellConfig("created", "exit 0"));
  const std::string ended = CreateAndStart(pod, ShellConfig("ended", "exit 0"));
  ASSERT_TRUE(WaitForState(ended, v1::CONTAINER_EXITED));
  EXPECT_EQ(MetricsOf(pod).container_metrics_size(), 0);
  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(pod);
  ASSERT_TRUE(cri().StopPodSandbox(stop).ok());
  auto reply = cri().ListPodSandboxMetrics({});
  ASSERT_TRUE(reply.ok()) << reply.message();
  EXPECT_EQ(reply->pod_metrics_size(), 0);
}

CATAMARAN_ON_EVERY_HANDLER(Metrics);

}  // namespace
}  // namespace catamaran::e2e

#include "cri/metrics/pod_metrics.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace catamaran {
namespace {

namespace v1 = ::runtime::v1;

// What critest (of Kubernetes 1.37) asks for, and the two that the kubelet's own tests add.
constexpr const char* kWanted[] = {
    "container_blkio_device_usage_total",
    "container_cpu_cfs_periods_total",
    "container_cpu_cfs_throttled_periods_total",
    "container_cpu_cfs_throttled_seconds_total",
    "container_cpu_system_seconds_total",
    "container_cpu_usage_seconds_total",
    "container_cpu_user_seconds_total",
    "container_file_descriptors",
    "container_fs_inodes_free",
    "container_fs_inodes_total",
    "container_fs_limit_bytes",
    "container_fs_reads_bytes_total",
    "container_fs_reads_total",
    "container_fs_usage_bytes",
    "container_fs_writes_bytes_total",
    "container_fs_writes_total",
    "container_hugetlb_max_usage_bytes",
    "container_hugetlb_usage_bytes",
    "container_last_seen",
    "container_memory_cache",
    "container_memory_events_high_total",
    "container_memory_events_max_total",
    "container_memory_failcnt",
    "container_memory_failures_total",
    "container_memory_kernel_usage",
    "container_memory_mapped_file",
    "container_memory_max_usage_bytes",
    "container_memory_rss",
    "container_memory_swap",
    "container_memory_usage_bytes",
    "container_memory_working_set_bytes",
    "container_network_receive_bytes_total",
    "container_network_receive_errors_total",
    "container_network_receive_packets_dropped_total",
    "container_network_receive_packets_total",
    "container_network_transmit_bytes_total",
    "container_network_transmit_errors_total",
    "container_network_transmit_packets_dropped_total",
    "container_network_transmit_packets_total",
    "container_oom_events_total",
    "container_pressure_cpu_stalled_seconds_total",
    "container_pressure_cpu_waiting_seconds_total",
    "container_pressure_io_stalled_seconds_total",
    "container_pressure_io_waiting_seconds_total",
    "container_pressure_memory_stalled_seconds_total",
    "container_pressure_memory_waiting_seconds_total",
    "container_processes",
    "container_sockets",
    "container_spec_cpu_period",
    "container_spec_cpu_quota",
    "container_spec_cpu_shares",
    "container_spec_memory_limit_bytes",
    "container_spec_memory_reservation_limit_bytes",
    "container_spec_memory_swap_limit_bytes",
    "container_start_time_seconds",
    "container_threads",
    "container_threads_max",
    "container_ulimits_soft",
};

// Everything that the engine can tell, each value another one.
spec::SandboxStats FullStats() {
  spec::SandboxStats stats;
  auto* interface = stats.add_interfaces();
  interface->set_name("eth0");
  uint64_t next = 1;
  interface->set_rx_bytes(next++);
  interface->set_rx_errors(next++);
  interface->set_rx_packets(next++);
  interface->set_rx_dropped(next++);
  interface->set_tx_bytes(next++);
  interface->set_tx_errors(next++);
  interface->set_tx_packets(next++);
  interface->set_tx_dropped(next++);
  auto* container = stats.add_containers();
  auto& group = *container->mutable_group();
  group.set_timestamp_ns(1'700'000'000'500'000'000);
  auto& cpu = *group.mutable_cpu();
  cpu.set_usage_ns(10'900'000'000);
  cpu.set_user_ns(7'000'000'000);
  cpu.set_system_ns(3'000'000'000);
  cpu.set_periods(100);
  cpu.set_throttled_periods(50);
  cpu.set_throttled_ns(2'000'000'000);
  cpu.mutable_pressure()->mutable_some()->set_total_us(4'000'000);
  cpu.mutable_pressure()->mutable_full()->set_total_us(3'000'000);
  auto& memory = *group.mutable_memory();
  memory.set_usage_bytes(next++);
  memory.set_working_set_bytes(next++);
  memory.set_rss_bytes(next++);
  memory.set_cache_bytes(next++);
  memory.set_swap_bytes(next++);
  memory.set_max_usage_bytes(next++);
  memory.set_kernel_bytes(next++);
  memory.set_mapped_file_bytes(next++);
  memory.set_page_faults(next++);
  memory.set_major_page_faults(next++);
  memory.set_limit_hits(next++);
  memory.set_high_events(next++);
  memory.set_oom_kills(next++);
  memory.set_reservation_bytes(next++);
  memory.set_limit_bytes(1000);
  memory.set_swap_limit_bytes(500);
  *memory.mutable_pressure() = cpu.pressure();
  *group.mutable_io_pressure() = cpu.pressure();
  group.set_pids(7);
  group.set_pids_limit(99);
  auto* device = group.mutable_io()->add_devices();
  device->set_name("/dev/vda");
  device->set_major(254);
  device->set_minor(3);
  device->set_read_bytes(4096);
  device->set_written_bytes(8192);
  device->set_reads(1);
  device->set_writes(2);
  auto* pages = group.add_hugepages();
  pages->set_page_size("2MB");
  pages->set_usage_bytes(2 << 20);
  pages->set_max_usage_bytes(4 << 20);
  auto& layer = *container->mutable_writable_layer();
  layer.set_used_bytes(600);
  layer.set_capacity_bytes(7000);
  layer.set_inodes(80);
  layer.set_inodes_free(9);
  auto& processes = *container->mutable_processes();
  processes.set_processes(5);
  processes.set_file_descriptors(30);
  processes.set_sockets(4);
  processes.set_soft_open_files(1024);
  return stats;
}

class PodMetricsTest : public testing::Test {
 protected:
  std::map<std::string, std::vector<v1::Metric>> Samples(const spec::SandboxStats& stats) {
    v1::PodSandboxMetrics pod;
    AddPodMetrics(labels_, stats, &pod);
    v1::ContainerMetrics container;
    AddContainerMetrics({.labels = labels_,
                         .stats = stats.containers(0),
                         .resources = resources_,
                         .started_at_ns = 1'600'000'000'000'000'000},
                        &container);
    std::map<std::string, std::vector<v1::Metric>> samples;
    for (const auto& metric : pod.metrics()) samples[metric.name()].push_back(metric);
    for (const auto& metric : container.metrics()) samples[metric.name()].push_back(metric);
    return samples;
  }
  static uint64_t Value(const std::map<std::string, std::vector<v1::Metric>>& samples,
                        const std::string& name) {
    const auto found = samples.find("container_" + name);
    return found == samples.end() ? UINT64_MAX : found->second.at(0).value().value();
  }

  MetricLabels labels_{
      .id = "1d", .image = "image", .pod_namespace = "ns", .pod = "p", .container = "c"};
  v1::LinuxContainerResources resources_;
};

TEST_F(PodMetricsTest, DescriptorsAreTheKubeletsWholeList) {
  const auto response = MetricDescriptors();
  std::set<std::string> names;
  for (const auto& descriptor : response.descriptors()) {
    EXPECT_TRUE(names.insert(descriptor.name()).second) << descriptor.name();
    EXPECT_FALSE(descriptor.help().empty()) << descriptor.name();
    ASSERT_GE(descriptor.label_keys_size(), 5) << descriptor.name();
    EXPECT_EQ(descriptor.label_keys(0), "id");
    EXPECT_EQ(descriptor.label_keys(4), "container");
  }
  EXPECT_EQ(names, std::set<std::string>(std::begin(kWanted), std::end(kWanted)));
}

TEST_F(PodMetricsTest, EachHasASampleWithItsDescriptorsLabels) {
  resources_.set_cpu_quota(20'000);
  const auto samples = Samples(FullStats());
  const auto descriptors = MetricDescriptors();
  for (const auto& descriptor : descriptors.descriptors()) {
    const auto found = samples.find(descriptor.name());
    ASSERT_NE(found, samples.end()) << descriptor.name();
    // A file system's inodes are a total, too, but not one that grows.
    const bool counter =
        (descriptor.name().ends_with("_total") && !descriptor.name().ends_with("inodes_total")) ||
        descriptor.name().ends_with("failcnt");
    for (const auto& metric : found->second) {
      EXPECT_EQ(metric.label_values_size(), descriptor.label_keys_size()) << descriptor.name();
      EXPECT_EQ(metric.label_values(0), "1d");
      EXPECT_EQ(metric.label_values(2), "ns");
      EXPECT_EQ(metric.timestamp(), 0);
      EXPECT_EQ(metric.metric_type() == v1::COUNTER, counter) << descriptor.name();
    }
  }
}

TEST_F(PodMetricsTest, ValuesAreThoseOfTheStats) {
  resources_.set_cpu_quota(20'000);
  resources_.set_cpu_period(50'000);
  resources_.set_cpu_shares(512);
  const auto stats = FullStats();
  const auto samples = Samples(stats);
  const auto& memory = stats.containers(0).group().memory();
  const std::map<std::string, uint64_t> wanted = {
      {"cpu_usage_seconds_total", 10},
      {"cpu_user_seconds_total", 7},
      {"cpu_system_seconds_total", 3},
      {"cpu_cfs_periods_total", 100},
      {"cpu_cfs_throttled_periods_total", 50},
      {"cpu_cfs_throttled_seconds_total", 2},
      {"last_seen", 1'700'000'000},
      {"start_time_seconds", 1'600'000'000},
      {"memory_usage_bytes", memory.usage_bytes()},
      {"memory_working_set_bytes", memory.working_set_bytes()},
      {"memory_rss", memory.rss_bytes()},
      {"memory_cache", memory.cache_bytes()},
      {"memory_swap", memory.swap_bytes()},
      {"memory_max_usage_bytes", memory.max_usage_bytes()},
      {"memory_kernel_usage", memory.kernel_bytes()},
      {"memory_mapped_file", memory.mapped_file_bytes()},
      {"memory_failcnt", memory.limit_hits()},
      {"memory_events_max_total", memory.limit_hits()},
      {"memory_events_high_total", memory.high_events()},
      {"oom_events_total", memory.oom_kills()},
      {"spec_memory_limit_bytes", 1000},
      {"spec_memory_swap_limit_bytes", 1500},
      {"spec_memory_reservation_limit_bytes", memory.reservation_bytes()},
      {"spec_cpu_quota", 20'000},
      {"spec_cpu_period", 50'000},
      {"spec_cpu_shares", 512},
      {"pressure_cpu_waiting_seconds_total", 4},
      {"pressure_io_stalled_seconds_total", 3},
      {"processes", 5},
      {"threads", 7},
      {"threads_max", 99},
      {"file_descriptors", 30},
      {"sockets", 4},
      {"ulimits_soft", 1024},
      {"fs_usage_bytes", 600},
      {"fs_limit_bytes", 7000},
      {"fs_inodes_total", 80},
      {"fs_inodes_free", 9},
      {"fs_reads_bytes_total", 4096},
      {"fs_writes_bytes_total", 8192},
      {"fs_reads_total", 1},
      {"fs_writes_total", 2},
      {"hugetlb_usage_bytes", 2 << 20},
      {"hugetlb_max_usage_bytes", 4 << 20},
      {"network_receive_bytes_total", 1},
      {"network_receive_errors_total", 2},
      {"network_receive_packets_total", 3},
      {"network_receive_packets_dropped_total", 4},
      {"network_transmit_bytes_total", 5},
      {"network_transmit_errors_total", 6},
      {"network_transmit_packets_total", 7},
      {"network_transmit_packets_dropped_total", 8},
  };
  for (const auto& [name, value] : wanted) EXPECT_EQ(Value(samples, name), value) << name;
  const auto& usage = samples.at("container_blkio_device_usage_total");
  ASSERT_EQ(usage.size(), 2u);
  EXPECT_EQ(usage[1].label_values(5), "/dev/vda");
  EXPECT_EQ(usage[1].label_values(6), "254");
  EXPECT_EQ(usage[1].label_values(7), "3");
  EXPECT_EQ(usage[1].label_values(8), "Write");
  EXPECT_EQ(usage[1].value().value(), 8192u);
  const auto& failures = samples.at("container_memory_failures_total");
  ASSERT_EQ(failures.size(), 4u);
  EXPECT_EQ(failures[0].label_values(5), "pgfault");
  EXPECT_EQ(failures[0].value().value(), memory.page_faults());
  EXPECT_EQ(failures[1].value().value(), memory.major_page_faults());
}

TEST_F(PodMetricsTest, WhatIsNotKnownHasNoSample) {
  spec::SandboxStats stats;
  stats.add_containers()->mutable_group();
  const auto samples = Samples(stats);
  for (const char* name :
       {"pressure_cpu_waiting_seconds_total", "pressure_io_stalled_seconds_total",
        "file_descriptors", "sockets", "ulimits_soft", "processes", "threads", "spec_cpu_quota",
        "fs_limit_bytes", "fs_inodes_free", "hugetlb_usage_bytes", "memory_max_usage_bytes",
        "network_receive_bytes_total"})
    EXPECT_EQ(Value(samples, name), UINT64_MAX) << name;
  EXPECT_EQ(Value(samples, "spec_cpu_shares"), 1024u);
  EXPECT_EQ(Value(samples, "spec_cpu_period"), 100'000u);
  EXPECT_EQ(Value(samples, "spec_memory_limit_bytes"), 0u);
  EXPECT_EQ(Value(samples, "spec_memory_swap_limit_bytes"), 0u);
}

TEST_F(PodMetricsTest, NothingAGuestMakesUpGivesTheSameSampleTwice) {
  auto stats = FullStats();
  for (int i = 0; i < 200; ++i) *stats.add_interfaces() = stats.interfaces(0);
  auto& group = *stats.mutable_containers(0)->mutable_group();
  *group.mutable_io()->add_devices() = group.io().devices(0);
  *group.add_hugepages() = group.hugepages(0);
  std::set<std::string> seen;
  for (const auto& [name, metrics] : Samples(stats)) {
    for (const auto& metric : metrics) {
      std::string key = name;
      for (const auto& label : metric.label_values()) key += "\n" + label;
      EXPECT_TRUE(seen.insert(key).second) << key;
    }
  }
}

}  // namespace
}  // namespace catamaran

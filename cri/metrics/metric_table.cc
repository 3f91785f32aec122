// The list of containers' metrics: the names that cAdvisor gave them and that dashboards and alerts
// know.
#include "cri/metrics/metric_table.h"

namespace catamaran {
namespace {

using Container = ContainerMetricsInput;
using runtime::v1::COUNTER;
using runtime::v1::GAUGE;

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr uint64_t kMicrosecondsPerSecond = 1'000'000;
// What the kernel gives a group that nobody has set: 100 ms, and 1024 shares, which is weight 100.
constexpr uint64_t kDefaultPeriodUs = 100'000;
constexpr uint64_t kDefaultShares = 1024;

const spec::CpuStats& Cpu(const Container& in) { return in.stats.group().cpu(); }
const spec::MemoryStats& Memory(const Container& in) { return in.stats.group().memory(); }
uint64_t Positive(int64_t value) { return value > 0 ? static_cast<uint64_t>(value) : 0; }

// The totals of one kind of pressure, where the kernel accounts for it.
template <const spec::Pressure& (*of)(const Container&), bool full>
void PressureSeconds(const Container& in, const MetricSink& sink) {
  const spec::Pressure& pressure = of(in);
  if (full && pressure.has_full()) sink(pressure.full().total_us() / kMicrosecondsPerSecond, {});
  if (!full && pressure.has_some()) sink(pressure.some().total_us() / kMicrosecondsPerSecond, {});
}
const spec::Pressure& CpuPressure(const Container& in) { return Cpu(in).pressure(); }
const spec::Pressure& MemoryPressure(const Container& in) { return Memory(in).pressure(); }
const spec::Pressure& IoPressure(const Container& in) { return in.stats.group().io_pressure(); }

using Device = spec::IoStats::Device;
template <uint64_t (Device::*value)() const>
void EachDevice(const Container& in, const MetricSink& sink) {
  for (const Device& device : in.stats.group().io().devices())
    sink((device.*value)(), {device.name()});
}

void DeviceUsage(const Container& in, const MetricSink& sink) {
  for (const Device& device : in.stats.group().io().devices()) {
    const std::string major_number = std::to_string(device.major());
    const std::string minor_number = std::to_string(device.minor());
    sink(device.read_bytes(), {device.name(), major_number, minor_number, "Read"});
    sink(device.written_bytes(), {device.name(), major_number, minor_number, "Write"});
  }
}

// The engine counts what is below the container's group with it, so both scopes are the same.
void Failures(const Container& in, const MetricSink& sink) {
  for (const char* scope : {"container", "hierarchy"}) {
    sink(Memory(in).page_faults(), {"pgfault", scope});
    sink(Memory(in).major_page_faults(), {"pgmajfault", scope});
  }
}

// Memory and swap together, as the CRI has the limit.
void SwapLimit(const Container& in, const MetricSink& sink) {
  const bool limited = Memory(in).limit_bytes() > 0 && Memory(in).has_swap_limit_bytes();
  sink(limited ? Memory(in).limit_bytes() + Memory(in).swap_limit_bytes() : 0, {});
}

template <uint64_t (spec::FilesystemStats::*value)() const>
void OfFilesystem(const Container& in, const MetricSink& sink) {
  const auto& layer = in.stats.writable_layer();
  if (layer.capacity_bytes() > 0) sink((layer.*value)(), {});
}

#define CATAMARAN_VALUE(expression) \
  [](const Container& in, const MetricSink& sink) { sink(expression, {}); }

const std::vector<MetricRow<Container>> kContainerRows = {
    {"container_blkio_device_usage_total",
     COUNTER,
     {"device", "major", "minor", "operation"},
     "Bytes that the container read from and wrote to each block device.",
     DeviceUsage},
    {"container_cpu_cfs_periods_total",
     COUNTER,
     {},
     "Periods of CPU bandwidth control that have passed with the container runnable.",
     CATAMARAN_VALUE(Cpu(in).periods())},
    {"container_cpu_cfs_throttled_periods_total",
     COUNTER,
     {},
     "Periods in which the container used up its CPU quota.",
     CATAMARAN_VALUE(Cpu(in).throttled_periods())},
    {"container_cpu_cfs_throttled_seconds_total",
     COUNTER,
     {},
     "Time for which the container was throttled, in seconds.",
     CATAMARAN_VALUE(Cpu(in).throttled_ns() / kNanosecondsPerSecond)},
    {"container_cpu_system_seconds_total",
     COUNTER,
     {},
     "CPU time used in the kernel, in seconds.",
     CATAMARAN_VALUE(Cpu(in).system_ns() / kNanosecondsPerSecond)},
    {"container_cpu_usage_seconds_total",
     COUNTER,
     {"cpu"},
     "CPU time used, in seconds, of all CPUs together (cpu=\"total\").",
     [](const Container& in, const MetricSink& sink) {
       sink(Cpu(in).usage_ns() / kNanosecondsPerSecond, {"total"});
     }},
    {"container_cpu_user_seconds_total",
     COUNTER,
     {},
     "CPU time used outside the kernel, in seconds.",
     CATAMARAN_VALUE(Cpu(in).user_ns() / kNanosecondsPerSecond)},
    {"container_file_descriptors",
     GAUGE,
     {},
     "Open file descriptors of all processes of the container.",
     [](const Container& in, const MetricSink& sink) {
       const auto& processes = in.stats.processes();
       if (processes.has_file_descriptors()) sink(processes.file_descriptors(), {});
     }},
    {"container_fs_inodes_free",
     GAUGE,
     {},
     "Free inodes of the file system that holds the container's writable layer.",
     OfFilesystem<&spec::FilesystemStats::inodes_free>},
    {"container_fs_inodes_total",
     GAUGE,
     {},
     "Inodes of the file system that holds the container's writable layer.",
     OfFilesystem<&spec::FilesystemStats::inodes>},
    {"container_fs_limit_bytes",
     GAUGE,
     {},
     "Size of the file system that holds the container's writable layer.",
     OfFilesystem<&spec::FilesystemStats::capacity_bytes>},
    {"container_fs_reads_bytes_total",
     COUNTER,
     {"device"},
     "Bytes read from each block device.",
     EachDevice<&Device::read_bytes>},
    {"container_fs_reads_total",
     COUNTER,
     {"device"},
     "Reads from each block device.",
     EachDevice<&Device::reads>},
    {"container_fs_usage_bytes",
     GAUGE,
     {},
     "Bytes that the container's writable layer occupies.",
     CATAMARAN_VALUE(in.stats.writable_layer().used_bytes())},
    {"container_fs_writes_bytes_total",
     COUNTER,
     {"device"},
     "Bytes written to each block device.",
     EachDevice<&Device::written_bytes>},
    {"container_fs_writes_total",
     COUNTER,
     {"device"},
     "Writes to each block device.",
     EachDevice<&Device::writes>},
    {"container_hugetlb_max_usage_bytes",
     GAUGE,
     {"pagesize"},
     "Largest use of huge pages so far (cgroup v1).",
     [](const Container& in, const MetricSink& sink) {
       for (const auto& size : in.stats.group().hugepages())
         if (size.has_max_usage_bytes()) sink(size.max_usage_bytes(), {size.page_size()});
     }},
    {"container_hugetlb_usage_bytes",
     GAUGE,
     {"pagesize"},
     "Bytes of huge pages in use.",
     [](const Container& in, const MetricSink& sink) {
       for (const auto& size : in.stats.group().hugepages())
         sink(size.usage_bytes(), {size.page_size()});
     }},
    {"container_last_seen",
     GAUGE,
     {},
     "When these values were read, in seconds since the epoch.",
     CATAMARAN_VALUE(Positive(in.stats.group().timestamp_ns()) / kNanosecondsPerSecond)},
    {"container_memory_cache",
     GAUGE,
     {},
     "Bytes of page cache.",
     CATAMARAN_VALUE(Memory(in).cache_bytes())},
    {"container_memory_events_high_total",
     COUNTER,
     {},
     "How often the container was throttled for being above memory.high.",
     CATAMARAN_VALUE(Memory(in).high_events())},
    {"container_memory_events_max_total",
     COUNTER,
     {},
     "How often use of memory was about to pass the limit.",
     CATAMARAN_VALUE(Memory(in).limit_hits())},
    {"container_memory_failcnt",
     COUNTER,
     {},
     "How often use of memory hit the limit.",
     CATAMARAN_VALUE(Memory(in).limit_hits())},
    {"container_memory_failures_total",
     COUNTER,
     {"failure_type", "scope"},
     "Page faults, and those of them that had to wait for a device.",
     Failures},
    {"container_memory_kernel_usage",
     GAUGE,
     {},
     "Bytes of kernel memory held for the container.",
     CATAMARAN_VALUE(Memory(in).kernel_bytes())},
    {"container_memory_mapped_file",
     GAUGE,
     {},
     "Bytes of files that are mapped into memory.",
     CATAMARAN_VALUE(Memory(in).mapped_file_bytes())},
    {"container_memory_max_usage_bytes",
     GAUGE,
     {},
     "Largest use of memory so far (cgroup v2: since Linux 5.19).",
     [](const Container& in, const MetricSink& sink) {
       if (Memory(in).max_usage_bytes() > 0) sink(Memory(in).max_usage_bytes(), {});
     }},
    {"container_memory_rss",
     GAUGE,
     {},
     "Bytes of anonymous memory.",
     CATAMARAN_VALUE(Memory(in).rss_bytes())},
    {"container_memory_swap",
     GAUGE,
     {},
     "Bytes in swap.",
     CATAMARAN_VALUE(Memory(in).swap_bytes())},
    {"container_memory_usage_bytes",
     GAUGE,
     {},
     "Bytes of memory in use, page cache included.",
     CATAMARAN_VALUE(Memory(in).usage_bytes())},
    {"container_memory_working_set_bytes",
     GAUGE,
     {},
     "Bytes of memory in use without what the kernel can drop at once.",
     CATAMARAN_VALUE(Memory(in).working_set_bytes())},
    {"container_oom_events_total",
     COUNTER,
     {},
     "How often the kernel killed something of the container for want of memory.",
     CATAMARAN_VALUE(Memory(in).oom_kills())},
    {"container_pressure_cpu_stalled_seconds_total",
     COUNTER,
     {},
     "Time in which every runnable task of the container waited for a CPU, in seconds.",
     PressureSeconds<CpuPressure, true>},
    {"container_pressure_cpu_waiting_seconds_total",
     COUNTER,
     {},
     "Time in which some task of the container waited for a CPU, in seconds.",
     PressureSeconds<CpuPressure, false>},
    {"container_pressure_io_stalled_seconds_total",
     COUNTER,
     {},
     "Time in which every task of the container that was not idle waited for I/O, in seconds.",
     PressureSeconds<IoPressure, true>},
    {"container_pressure_io_waiting_seconds_total",
     COUNTER,
     {},
     "Time in which some task of the container waited for I/O, in seconds.",
     PressureSeconds<IoPressure, false>},
    {"container_pressure_memory_stalled_seconds_total",
     COUNTER,
     {},
     "Time in which every task of the container that was not idle waited for memory, in seconds.",
     PressureSeconds<MemoryPressure, true>},
    {"container_pressure_memory_waiting_seconds_total",
     COUNTER,
     {},
     "Time in which some task of the container waited for memory, in seconds.",
     PressureSeconds<MemoryPressure, false>},
    {"container_processes",
     GAUGE,
     {},
     "Processes in the container.",
     [](const Container& in, const MetricSink& sink) {
       if (in.stats.has_processes()) sink(in.stats.processes().processes(), {});
     }},
    {"container_sockets",
     GAUGE,
     {},
     "Open file descriptors of the container that are sockets.",
     [](const Container& in, const MetricSink& sink) {
       if (in.stats.processes().has_sockets()) sink(in.stats.processes().sockets(), {});
     }},
    {"container_spec_cpu_period",
     GAUGE,
     {},
     "Period of the container's CPU quota, in microseconds.",
     CATAMARAN_VALUE(in.resources.cpu_period() > 0 ? Positive(in.resources.cpu_period())
                                                   : kDefaultPeriodUs)},
    {"container_spec_cpu_quota",
     GAUGE,
     {},
     "CPU time that the container may use in a period, in microseconds. No sample: no limit.",
     [](const Container& in, const MetricSink& sink) {
       if (in.resources.cpu_quota() > 0) sink(Positive(in.resources.cpu_quota()), {});
     }},
    {"container_spec_cpu_shares",
     GAUGE,
     {},
     "The container's share of contended CPUs.",
     CATAMARAN_VALUE(in.resources.cpu_shares() > 0 ? Positive(in.resources.cpu_shares())
                                                   : kDefaultShares)},
    {"container_spec_memory_limit_bytes",
     GAUGE,
     {},
     "Memory limit; 0: none.",
     CATAMARAN_VALUE(Memory(in).limit_bytes())},
    {"container_spec_memory_reservation_limit_bytes",
     GAUGE,
     {},
     "Memory that is protected from reclaim (memory.low; cgroup v1: the soft limit); 0: none.",
     CATAMARAN_VALUE(Memory(in).reservation_bytes())},
    {"container_spec_memory_swap_limit_bytes",
     GAUGE,
     {},
     "Limit of memory and swap together; 0: none.",
     SwapLimit},
    {"container_start_time_seconds",
     GAUGE,
     {},
     "When the container was started, in seconds since the epoch.",
     CATAMARAN_VALUE(Positive(in.started_at_ns) / kNanosecondsPerSecond)},
    {"container_threads",
     GAUGE,
     {},
     "Threads in the container.",
     [](const Container& in, const MetricSink& sink) {
       if (in.stats.group().pids() > 0) sink(in.stats.group().pids(), {});
     }},
    {"container_threads_max",
     GAUGE,
     {},
     "How many threads there may be in the container; 0: no limit.",
     CATAMARAN_VALUE(in.stats.group().pids_limit())},
    {"container_ulimits_soft",
     GAUGE,
     {"ulimit"},
     "Soft limits of the container's first process: how many files it may open.",
     [](const Container& in, const MetricSink& sink) {
       const auto& processes = in.stats.processes();
       if (processes.has_soft_open_files()) sink(processes.soft_open_files(), {"max_open_files"});
     }},
};

#undef CATAMARAN_VALUE

}  // namespace

std::span<const MetricRow<ContainerMetricsInput>> ContainerMetricRows() { return kContainerRows; }

}  // namespace catamaran

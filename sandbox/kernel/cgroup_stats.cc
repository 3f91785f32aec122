#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include <limits>

#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/cgroup_files.h"

// What a group uses, and how often it ran out of memory.
namespace catamaran {
namespace {

constexpr size_t kMostText = 8192;  // memory.stat, the longest, has about 2 KiB
constexpr auto kNoLimit = std::numeric_limits<uint64_t>::max();

using Source = CgroupSource;

uint64_t KeyOr0(const std::string& text, std::string_view key) {
  return FindCgroupKey(text, key).value_or(0);
}

// Of any v1 limit: 0 where there is none.
uint64_t SwapLimitV1(const Source& group, uint64_t memory_limit) {
  const uint64_t both = group.LimitOr0("memory.memsw.limit_in_bytes");
  return both == 0 || memory_limit == 0 || both < memory_limit ? kNoLimit : both - memory_limit;
}

uint64_t SubtractOr0(uint64_t from, uint64_t what) { return from > what ? from - what : 0; }

constexpr uint64_t kMicrosecond = 1000;  // in nanoseconds

void ReadCpuV2(const Source& group, spec::CpuStats& cpu) {
  const auto stat = group.TextOrEmpty("cpu.stat");
  cpu.set_usage_ns(KeyOr0(stat, "usage_usec") * kMicrosecond);
  cpu.set_user_ns(KeyOr0(stat, "user_usec") * kMicrosecond);
  cpu.set_system_ns(KeyOr0(stat, "system_usec") * kMicrosecond);
  cpu.set_periods(KeyOr0(stat, "nr_periods"));
  cpu.set_throttled_periods(KeyOr0(stat, "nr_throttled"));
  cpu.set_throttled_ns(KeyOr0(stat, "throttled_usec") * kMicrosecond);
}

// "kernel" since Linux 5.18; before that, what it is the sum of.
uint64_t KernelMemoryV2(const std::string& stat) {
  if (const auto kernel = FindCgroupKey(stat, "kernel")) return *kernel;
  uint64_t sum = 0;
  for (const char* part : {"kernel_stack", "pagetables", "percpu", "vmalloc", "slab"})
    sum += KeyOr0(stat, part);
  return sum;
}

void ReadMemoryV2(const Source& group, spec::MemoryStats& memory) {
  const auto stat = group.TextOrEmpty("memory.stat");
  const uint64_t usage = group.NumberOr0("memory.current");
  memory.set_usage_bytes(usage);
  memory.set_working_set_bytes(SubtractOr0(usage, KeyOr0(stat, "inactive_file")));
  memory.set_rss_bytes(KeyOr0(stat, "anon"));
  memory.set_cache_bytes(KeyOr0(stat, "file"));
  memory.set_page_faults(KeyOr0(stat, "pgfault"));
  memory.set_major_page_faults(KeyOr0(stat, "pgmajfault"));
  memory.set_limit_bytes(group.LimitOr0("memory.max"));
  memory.set_swap_bytes(group.NumberOr0("memory.swap.current"));
  memory.set_max_usage_bytes(group.NumberOr0("memory.peak"));  // Linux 5.19
  memory.set_mapped_file_bytes(KeyOr0(stat, "file_mapped"));
  memory.set_kernel_bytes(KernelMemoryV2(stat));
  const auto events = group.TextOrEmpty("memory.events");
  memory.set_oom_kills(KeyOr0(events, "oom_kill"));
  memory.set_limit_hits(KeyOr0(events, "max"));
  memory.set_high_events(KeyOr0(events, "high"));
  const auto swap = ParseCgroupNumber(group.TextOrEmpty("memory.swap.max"));
  if (swap && *swap != kNoLimit) memory.set_swap_limit_bytes(*swap);
}

void ReadMemoryV1(const Source& group, spec::MemoryStats& memory) {
  const auto stat = group.TextOrEmpty("memory.stat");
  const uint64_t usage = group.NumberOr0("memory.usage_in_bytes");
  memory.set_usage_bytes(usage);
  memory.set_working_set_bytes(SubtractOr0(usage, KeyOr0(stat, "total_inactive_file")));
  memory.set_rss_bytes(KeyOr0(stat, "total_rss"));
  memory.set_cache_bytes(KeyOr0(stat, "total_cache"));
  memory.set_page_faults(KeyOr0(stat, "total_pgfault"));
  memory.set_major_page_faults(KeyOr0(stat, "total_pgmajfault"));
  memory.set_limit_bytes(group.LimitOr0("memory.limit_in_bytes"));
  memory.set_swap_bytes(KeyOr0(stat, "total_swap"));
  memory.set_max_usage_bytes(group.NumberOr0("memory.max_usage_in_bytes"));
  memory.set_mapped_file_bytes(KeyOr0(stat, "total_mapped_file"));
  memory.set_oom_kills(KeyOr0(group.TextOrEmpty("memory.oom_control"), "oom_kill"));
  if (const uint64_t swap = SwapLimitV1(group, memory.limit_bytes()); swap != kNoLimit)
    memory.set_swap_limit_bytes(swap);
}

}  // namespace

uint64_t CgroupSource::LimitOr0(const char* file) const {
  const uint64_t limit = NumberOr0(file);
  return limit == kNoLimit ? 0 : limit;
}

std::string CgroupSource::TextOrEmpty(const char* file) const {
  return directory < 0 ? "" : files.Read(directory, file);
}

uint64_t CgroupSource::NumberOr0(const char* file) const {
  return ParseCgroupNumber(TextOrEmpty(file)).value_or(0);
}

std::string CgroupStatFiles::Read(int directory_fd, const std::string& name) {
  auto found = open_.find(name);
  if (found == open_.end()) {
    auto file = OpenFileAt(directory_fd, name, O_RDONLY);
    if (!file) return "";
    found = open_.emplace(name, std::move(*file)).first;
  }
  // From the start each time: the kernel writes the text anew for a reader at its beginning.
  char buffer[kMostText];
  const ssize_t count = pread(found->second.get(), buffer, sizeof buffer, 0);
  std::string text(buffer, std::max<ssize_t>(count, 0));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

void Cgroup::ReadCpuStats(spec::CpuStats& cpu) const {
  if (const Source accounting{stat_files_, DirectoryOf("cpuacct")}; accounting.directory >= 0) {
    cpu.set_usage_ns(accounting.NumberOr0("cpuacct.usage"));
    cpu.set_user_ns(accounting.NumberOr0("cpuacct.usage_user"));
    cpu.set_system_ns(accounting.NumberOr0("cpuacct.usage_sys"));
    const auto stat = Source{stat_files_, DirectoryOf("cpu")}.TextOrEmpty("cpu.stat");
    cpu.set_periods(KeyOr0(stat, "nr_periods"));
    cpu.set_throttled_periods(KeyOr0(stat, "nr_throttled"));
    cpu.set_throttled_ns(KeyOr0(stat, "throttled_time"));
  } else if (Unified() != nullptr) {
    // Usage is counted even without the controller.
    ReadCpuV2({stat_files_, Unified()->fd.get()}, cpu);
  }
}

void Cgroup::ReadMemoryStats(spec::MemoryStats& memory) const {
  const Source group{stat_files_, DirectoryOf("memory")};
  if (group.directory < 0) return;
  if (Unified() != nullptr && Unified()->fd.get() == group.directory)
    ReadMemoryV2(group, memory);
  else
    ReadMemoryV1(group, memory);
}

void Cgroup::ReadPressure(spec::GroupStats& stats) const {
  // Counted on cgroup v2 whichever hierarchy has the controllers.
  if (Unified() == nullptr) return;
  const Source group{stat_files_, Unified()->fd.get()};
  if (auto cpu = ParsePressure(group.TextOrEmpty("cpu.pressure")))
    *stats.mutable_cpu()->mutable_pressure() = *cpu;
  if (auto memory = ParsePressure(group.TextOrEmpty("memory.pressure")))
    *stats.mutable_memory()->mutable_pressure() = *memory;
  if (auto io = ParsePressure(group.TextOrEmpty("io.pressure"))) *stats.mutable_io_pressure() = *io;
}

Result<spec::GroupStats> Cgroup::Stats() const {
  if (directories_.empty()) return Fail(ErrorCode::kNotFound, "cgroup {} was removed", path_);
  spec::GroupStats stats;
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  stats.set_timestamp_ns(now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec);
  ReadCpuStats(*stats.mutable_cpu());
  ReadMemoryStats(*stats.mutable_memory());
  const Source pids{stat_files_, DirectoryOf("pids")};
  stats.set_pids(pids.NumberOr0("pids.current"));
  stats.set_pids_limit(pids.LimitOr0("pids.max"));
  ReadPressure(stats);
  return stats;
}

Result<uint64_t> Cgroup::OomKills() const {
  const int directory = DirectoryOf("memory");
  if (directory < 0)
    return Fail(ErrorCode::kFailedPrecondition, "cgroup {} has no memory controller", path_);
  for (const char* file : {"memory.events", "memory.oom_control"}) {
    const auto text = ReadCgroupValue(directory, file);
    if (text) return FindCgroupKey(*text, "oom_kill").value_or(0);
    if (text.error().system_errno != ENOENT) return tl::unexpected(text.error());
  }
  return Fail(ErrorCode::kNotFound, "cgroup {} was removed", path_);
}

Result<UniqueFd> Cgroup::OpenOomEvents() const {
  const int directory = DirectoryOf("memory");
  if (directory < 0)
    return Fail(ErrorCode::kFailedPrecondition, "cgroup {} has no memory controller", path_);
  if (faccessat(directory, "memory.events", F_OK, 0) == 0) {
    UniqueFd notify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!notify.valid()) return FailWithErrno("inotify_init1");
    const auto path = fmt::format("/proc/self/fd/{}/memory.events", directory);
    if (inotify_add_watch(notify.get(), path.c_str(), IN_MODIFY) < 0)
      return FailWithErrno("watch memory.events of cgroup {}", path_);
    return notify;
  }
  // Documentation/admin-guide/cgroup-v1/memory.rst, section 10.
  UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) return FailWithErrno("eventfd");
  ASSIGN_OR_RETURN(auto control, OpenFileAt(directory, "memory.oom_control", O_RDONLY));
  RETURN_IF_ERROR(WriteExistingAt(directory, "cgroup.event_control",
                                  fmt::format("{} {}", event.get(), control.get())));
  return event;
}

void Cgroup::DrainEvents(int fd) {
  char buffer[4096];
  while (read(fd, buffer, sizeof buffer) > 0) {
  }
}

}  // namespace catamaran

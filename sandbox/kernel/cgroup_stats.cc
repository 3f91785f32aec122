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

constexpr auto kNoLimit = std::numeric_limits<uint64_t>::max();

uint64_t NumberOr0(int directory, const std::string& file) {
  return ReadCgroupNumber(directory, file).value_or(0);
}

uint64_t LimitOr0(int directory, const std::string& file) {
  const uint64_t limit = NumberOr0(directory, file);
  return limit == kNoLimit ? 0 : limit;
}

std::string TextOrEmpty(int directory, const std::string& file) {
  return ReadCgroupValue(directory, file).value_or("");
}

uint64_t KeyOr0(const std::string& text, std::string_view key) {
  return FindCgroupKey(text, key).value_or(0);
}

uint64_t SubtractOr0(uint64_t from, uint64_t what) { return from > what ? from - what : 0; }

constexpr uint64_t kMicrosecond = 1000;  // in nanoseconds

void ReadCpuV2(int directory, spec::CpuStats& cpu) {
  const auto stat = TextOrEmpty(directory, "cpu.stat");
  cpu.set_usage_ns(KeyOr0(stat, "usage_usec") * kMicrosecond);
  cpu.set_user_ns(KeyOr0(stat, "user_usec") * kMicrosecond);
  cpu.set_system_ns(KeyOr0(stat, "system_usec") * kMicrosecond);
  cpu.set_periods(KeyOr0(stat, "nr_periods"));
  cpu.set_throttled_periods(KeyOr0(stat, "nr_throttled"));
  cpu.set_throttled_ns(KeyOr0(stat, "throttled_usec") * kMicrosecond);
}

void ReadMemoryV2(int directory, spec::MemoryStats& memory) {
  const auto stat = TextOrEmpty(directory, "memory.stat");
  const uint64_t usage = NumberOr0(directory, "memory.current");
  memory.set_usage_bytes(usage);
  memory.set_working_set_bytes(SubtractOr0(usage, KeyOr0(stat, "inactive_file")));
  memory.set_rss_bytes(KeyOr0(stat, "anon"));
  memory.set_cache_bytes(KeyOr0(stat, "file"));
  memory.set_page_faults(KeyOr0(stat, "pgfault"));
  memory.set_major_page_faults(KeyOr0(stat, "pgmajfault"));
  memory.set_limit_bytes(LimitOr0(directory, "memory.max"));
  memory.set_swap_bytes(NumberOr0(directory, "memory.swap.current"));
  memory.set_max_usage_bytes(NumberOr0(directory, "memory.peak"));  // Linux 5.19
}

void ReadMemoryV1(int directory, spec::MemoryStats& memory) {
  const auto stat = TextOrEmpty(directory, "memory.stat");
  const uint64_t usage = NumberOr0(directory, "memory.usage_in_bytes");
  memory.set_usage_bytes(usage);
  memory.set_working_set_bytes(SubtractOr0(usage, KeyOr0(stat, "total_inactive_file")));
  memory.set_rss_bytes(KeyOr0(stat, "total_rss"));
  memory.set_cache_bytes(KeyOr0(stat, "total_cache"));
  memory.set_page_faults(KeyOr0(stat, "total_pgfault"));
  memory.set_major_page_faults(KeyOr0(stat, "total_pgmajfault"));
  memory.set_limit_bytes(LimitOr0(directory, "memory.limit_in_bytes"));
  memory.set_swap_bytes(KeyOr0(stat, "total_swap"));
  memory.set_max_usage_bytes(NumberOr0(directory, "memory.max_usage_in_bytes"));
}

}  // namespace

void Cgroup::ReadCpuStats(spec::CpuStats& cpu) const {
  if (const int accounting = DirectoryOf("cpuacct"); accounting >= 0) {
    cpu.set_usage_ns(NumberOr0(accounting, "cpuacct.usage"));
    cpu.set_user_ns(NumberOr0(accounting, "cpuacct.usage_user"));
    cpu.set_system_ns(NumberOr0(accounting, "cpuacct.usage_sys"));
    const auto stat = TextOrEmpty(DirectoryOf("cpu"), "cpu.stat");
    cpu.set_periods(KeyOr0(stat, "nr_periods"));
    cpu.set_throttled_periods(KeyOr0(stat, "nr_throttled"));
    cpu.set_throttled_ns(KeyOr0(stat, "throttled_time"));
  } else if (Unified() != nullptr) {
    ReadCpuV2(Unified()->fd.get(), cpu);  // usage is counted even without the controller
  }
}

void Cgroup::ReadMemoryStats(spec::MemoryStats& memory) const {
  const int directory = DirectoryOf("memory");
  if (directory < 0) return;
  if (faccessat(directory, "memory.current", F_OK, 0) == 0)
    ReadMemoryV2(directory, memory);
  else
    ReadMemoryV1(directory, memory);
}

Result<spec::GroupStats> Cgroup::Stats() const {
  if (directories_.empty()) return Fail(ErrorCode::kNotFound, "cgroup {} was removed", path_);
  spec::GroupStats stats;
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  stats.set_timestamp_ns(now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec);
  ReadCpuStats(*stats.mutable_cpu());
  ReadMemoryStats(*stats.mutable_memory());
  stats.mutable_memory()->set_oom_kills(OomKills().value_or(0));
  const int pids = DirectoryOf("pids");
  stats.set_pids(NumberOr0(pids, "pids.current"));
  stats.set_pids_limit(LimitOr0(pids, "pids.max"));
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

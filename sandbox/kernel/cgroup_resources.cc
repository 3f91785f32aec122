#include "sandbox/kernel/cgroup_resources.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace catamaran {
namespace {

using Version = CgroupView::Version;

constexpr int64_t kUnlimited = -1;

int64_t ToNumber(const std::optional<std::string>& text) {
  int64_t value = kUnlimited;  // "max", or a file that is not there
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

std::string MaxOr(int64_t value) { return value == kUnlimited ? "max" : std::to_string(value); }

class Planner {
 public:
  Planner(const spec::Resources& resources, const CgroupView& view)
      : resources_(resources), view_(view) {}

  Result<std::vector<CgroupWrite>> Plan() {
    RETURN_IF_ERROR(PlanCpu());
    RETURN_IF_ERROR(PlanCpuset());
    RETURN_IF_ERROR(PlanMemory());
    RETURN_IF_ERROR(PlanPids());
    RETURN_IF_ERROR(PlanHugepages());
    RETURN_IF_ERROR(PlanUnified());
    return std::move(writes_);
  }

 private:
  void Write(std::string controller, std::string file, std::string value, std::string field) {
    writes_.push_back({std::move(controller), std::move(file), std::move(value), std::move(field)});
  }

  Result<Version> Need(const std::string& controller, std::string_view field) {
    const Version version = view_.version(controller);
    if (version == Version::kNone)
      return Fail(ErrorCode::kFailedPrecondition,
                  "{}: this machine has no {} controller for the group", field, controller);
    return version;
  }

  Status PlanCpu();
  Status PlanCpuBandwidth();
  Status PlanCpuset();
  Status PlanMemory();
  Status PlanMemoryV1(int64_t limit, int64_t swap);
  Status PlanMemoryV2(int64_t limit, int64_t swap);
  Status PlanPids();
  Status PlanHugepages();
  Status PlanUnified();

  const spec::Resources& resources_;
  const CgroupView& view_;
  std::vector<CgroupWrite> writes_;
};

Status Planner::PlanCpu() {
  if (const uint64_t shares = resources_.cpu_shares(); shares != 0) {
    ASSIGN_OR_RETURN(const Version version, Need("cpu", "cpu_shares"));
    if (version == Version::kV2)
      Write("cpu", "cpu.weight", std::to_string(CpuWeightOfShares(shares)), "cpu_shares");
    else
      Write("cpu", "cpu.shares", std::to_string(shares), "cpu_shares");
  }
  return PlanCpuBandwidth();
}

Status Planner::PlanCpuBandwidth() {
  const int64_t period = resources_.cpu_period_us();
  const int64_t quota = resources_.cpu_quota_us();
  if (period == 0 && quota == 0) return {};
  // Limits of the kernel: Documentation/scheduler/sched-bwc.rst.
  if (period != 0 && (period < 1000 || period > 1'000'000))
    return Fail(ErrorCode::kInvalidArgument, "cpu_period_us {}: must be 1000 to 1000000", period);
  if (quota < kUnlimited || (quota > 0 && quota < 1000))
    return Fail(ErrorCode::kInvalidArgument,
                "cpu_quota_us {}: must be 1000 or more, or -1 for no limit", quota);
  ASSIGN_OR_RETURN(const Version version,
                   Need("cpu", quota != 0 ? "cpu_quota_us" : "cpu_period_us"));
  if (version == Version::kV2) {
    std::string value = MaxOr(quota);
    if (quota == 0) {
      const std::string now = view_.read("cpu", "cpu.max").value_or("max");
      value = now.substr(0, now.find(' '));
    }
    if (period != 0) value += " " + std::to_string(period);
    Write("cpu", "cpu.max", value, quota != 0 ? "cpu_quota_us" : "cpu_period_us");
    return {};
  }
  // The kernel compares quota/period with the group above after each write: in this order the
  // ratio in between is never above both the old and the new one.
  const bool period_first = period >= ToNumber(view_.read("cpu", "cpu.cfs_period_us"));
  const auto write_period = [&] {
    if (period != 0) Write("cpu", "cpu.cfs_period_us", std::to_string(period), "cpu_period_us");
  };
  if (period_first) write_period();
  if (quota != 0) Write("cpu", "cpu.cfs_quota_us", std::to_string(quota), "cpu_quota_us");
  if (!period_first) write_period();
  return {};
}

Status Planner::PlanCpuset() {
  if (!resources_.cpuset_cpus().empty()) {
    RETURN_IF_ERROR(Need("cpuset", "cpuset_cpus"));
    Write("cpuset", "cpuset.cpus", resources_.cpuset_cpus(), "cpuset_cpus");
  }
  if (!resources_.cpuset_mems().empty()) {
    RETURN_IF_ERROR(Need("cpuset", "cpuset_mems"));
    Write("cpuset", "cpuset.mems", resources_.cpuset_mems(), "cpuset_mems");
  }
  return {};
}

Status Planner::PlanMemory() {
  const int64_t limit = resources_.memory_limit_bytes();
  int64_t swap = resources_.memory_swap_limit_bytes();
  if (limit == 0 && swap == 0) return {};
  if (limit < kUnlimited)
    return Fail(ErrorCode::kInvalidArgument,
                "memory_limit_bytes {}: must be positive, or -1 for no limit", limit);
  if (swap < kUnlimited)
    return Fail(ErrorCode::kInvalidArgument,
                "memory_swap_limit_bytes {}: must be positive, or -1 for no limit", swap);
  if (swap > 0 && (limit == kUnlimited || swap < limit))
    return Fail(ErrorCode::kInvalidArgument,
                "memory_swap_limit_bytes {}: counts memory and swap together and must not be below "
                "memory_limit_bytes {}",
                swap, limit);
  if (limit == kUnlimited && swap == 0) swap = kUnlimited;
  ASSIGN_OR_RETURN(const Version version,
                   Need("memory", limit != 0 ? "memory_limit_bytes" : "memory_swap_limit_bytes"));
  return version == Version::kV2 ? PlanMemoryV2(limit, swap) : PlanMemoryV1(limit, swap);
}

Status Planner::PlanMemoryV1(int64_t limit, int64_t swap) {
  constexpr const char* kLimitFile = "memory.limit_in_bytes";
  constexpr const char* kSwapFile = "memory.memsw.limit_in_bytes";
  const auto swap_now_text = view_.read("memory", kSwapFile);
  if (!swap_now_text) {  // no swap accounting in this kernel: what asks for no swap is still right
    if (swap > 0 && swap != limit)
      return Fail(ErrorCode::kFailedPrecondition,
                  "memory_swap_limit_bytes {}: this kernel does not account for swap", swap);
    swap = 0;
  }
  const int64_t swap_now = ToNumber(swap_now_text);
  const bool swap_now_limited = swap_now > 0 && swap_now < (int64_t{1} << 62);
  // memory may never exceed memory + swap: one that grows beyond takes the other along.
  if (swap == 0 && limit > 0 && swap_now_limited && swap_now < limit) swap = limit;
  const bool swap_first = swap == kUnlimited || (swap_now_limited && swap > swap_now);
  if (swap != 0 && swap_first)
    Write("memory", kSwapFile, std::to_string(swap), "memory_swap_limit_bytes");
  if (limit != 0) Write("memory", kLimitFile, std::to_string(limit), "memory_limit_bytes");
  if (swap != 0 && !swap_first)
    Write("memory", kSwapFile, std::to_string(swap), "memory_swap_limit_bytes");
  return {};
}

Status Planner::PlanMemoryV2(int64_t limit, int64_t swap) {
  if (swap != 0) {
    if (swap > 0 && limit == 0) {
      limit = ToNumber(view_.read("memory", "memory.max"));
      if (limit == kUnlimited || limit > swap)
        return Fail(ErrorCode::kInvalidArgument,
                    "memory_swap_limit_bytes {}: counts memory and swap together and must not be "
                    "below the memory limit, which is {}",
                    swap, MaxOr(limit));
    }
    const std::string value = swap == kUnlimited ? "max" : std::to_string(swap - limit);
    if (view_.read("memory", "memory.swap.max"))
      Write("memory", "memory.swap.max", value, "memory_swap_limit_bytes");
    else if (value != "max" && value != "0")
      return Fail(ErrorCode::kFailedPrecondition,
                  "memory_swap_limit_bytes {}: this kernel has no swap", swap);
  }
  if (resources_.memory_limit_bytes() != 0)
    Write("memory", "memory.max", MaxOr(limit), "memory_limit_bytes");
  return {};
}

Status Planner::PlanPids() {
  const int64_t limit = resources_.pids_limit();
  if (limit == 0) return {};
  if (limit < kUnlimited)
    return Fail(ErrorCode::kInvalidArgument, "pids_limit {}: must be positive, or -1 for no limit",
                limit);
  RETURN_IF_ERROR(Need("pids", "pids_limit"));
  Write("pids", "pids.max", MaxOr(limit), "pids_limit");
  return {};
}

Status Planner::PlanHugepages() {
  for (const auto& huge : resources_.hugepage_limits()) {
    const auto& size = huge.page_size();
    const auto field = fmt::format("hugepage_limits[{}]", size);
    if (size.empty() || size.find_first_not_of("0123456789KMGTB") != std::string::npos)
      return Fail(ErrorCode::kInvalidArgument, "{}: must be a page size such as 2MB or 1GB", field);
    const Version version = view_.version("hugetlb");
    const std::string suffix = version == Version::kV2 ? "max" : "limit_in_bytes";
    const std::string file = fmt::format("hugetlb.{}.{}", size, suffix);
    // Kubelets list every page size of the host with 0: no limit is needed where there are none.
    if (version == Version::kNone || !view_.read("hugetlb", file)) {
      if (huge.limit_bytes() == 0) continue;
      return Fail(ErrorCode::kFailedPrecondition, "{}: this machine has no such huge pages", field);
    }
    Write("hugetlb", file, std::to_string(huge.limit_bytes()), field);
    const std::string reserved = fmt::format("hugetlb.{}.rsvd.{}", size, suffix);
    if (view_.read("hugetlb", reserved))
      Write("hugetlb", reserved, std::to_string(huge.limit_bytes()), field);
  }
  return {};
}

bool IsUnifiedKey(const std::string& key) {
  return key.find('.') != std::string::npos && key.front() != '.' &&
         key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._") == std::string::npos;
}

Status Planner::PlanUnified() {
  const std::vector<std::pair<std::string, std::string>> sorted = [&] {
    std::vector<std::pair<std::string, std::string>> pairs(resources_.unified().begin(),
                                                           resources_.unified().end());
    std::sort(pairs.begin(), pairs.end());
    return pairs;
  }();
  for (const auto& [key, value] : sorted) {
    const auto field = fmt::format("unified[{}]", key);
    // cgroup.* would move processes, kill them or change what the group is.
    if (!IsUnifiedKey(key) || key.starts_with("cgroup."))
      return Fail(ErrorCode::kInvalidArgument,
                  "{}: must be the name of a controller's file, such as memory.high", field);
    const std::string controller = key.substr(0, key.find('.'));
    ASSIGN_OR_RETURN(const Version version, Need(controller, field));
    if (version != Version::kV2)
      return Fail(ErrorCode::kFailedPrecondition, "{}: {} is not on cgroup v2 on this machine",
                  field, controller);
    if (!view_.read(controller, key))
      return Fail(ErrorCode::kInvalidArgument, "{}: this kernel has no such file", field);
    Write(controller, key, value, field);
  }
  return {};
}

}  // namespace

uint64_t CpuWeightOfShares(uint64_t shares) {
  if (shares == 0) return 0;
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const double l = std::log2(static_cast<double>(shares));
  return static_cast<uint64_t>(std::ceil(std::pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0)));
}

Result<std::vector<CgroupWrite>> PlanResources(const spec::Resources& resources,
                                               const CgroupView& view) {
  return Planner(resources, view).Plan();
}

}  // namespace catamaran

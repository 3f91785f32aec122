#include "sandbox/kernel/sandbox_limits.h"

#include <algorithm>
#include <cerrno>

namespace catamaran {
namespace {

constexpr int64_t kDefaultPeriodUs = 100'000;  // the kernel's, of both versions
constexpr uint64_t kMostShares = 262'144;

// A kubelet that gives a pod more says so here first and widens its own group afterwards
// (KEP-5419). v1 refuses a quota above that of a group above, which counts in any case: until the
// next word this group then has none of its own.
Status LimitCpu(const CgroupTree& tree, const Cgroup& group, const spec::Resources& resources) {
  spec::Resources cpu;
  cpu.set_cpu_period_us(resources.cpu_period_us());
  cpu.set_cpu_quota_us(resources.cpu_quota_us());
  auto limited = group.Apply(cpu);
  if (limited || limited.error().system_errno != EINVAL || cpu.cpu_quota_us() <= 0) return limited;
  const CgroupHierarchy* hierarchy = tree.WithController("cpu");
  if (hierarchy == nullptr || hierarchy->v2) return limited;
  cpu.set_cpu_quota_us(-1);
  return group.Apply(cpu);
}

}  // namespace

spec::Resources AddOverhead(const spec::Resources& resources, const spec::Resources& overhead) {
  spec::Resources sum = resources;
  if (resources.cpu_shares() != 0)
    sum.set_cpu_shares(std::min(resources.cpu_shares() + overhead.cpu_shares(), kMostShares));
  if (resources.cpu_quota_us() > 0 && overhead.cpu_quota_us() > 0) {
    const auto period = [](const spec::Resources& of) {
      return of.cpu_period_us() != 0 ? of.cpu_period_us() : kDefaultPeriodUs;
    };
    sum.set_cpu_quota_us(resources.cpu_quota_us() +
                         overhead.cpu_quota_us() * period(resources) / period(overhead));
  }
  if (resources.memory_limit_bytes() > 0 && overhead.memory_limit_bytes() > 0) {
    sum.set_memory_limit_bytes(resources.memory_limit_bytes() + overhead.memory_limit_bytes());
    if (resources.memory_swap_limit_bytes() > 0)
      sum.set_memory_swap_limit_bytes(resources.memory_swap_limit_bytes() +
                                      overhead.memory_limit_bytes());
  }
  return sum;
}

Status LimitSandboxGroup(const CgroupTree& tree, const std::string& path,
                         const spec::Resources& resources) {
  ASSIGN_OR_RETURN(const Cgroup group, tree.OpenGroup(path));
  if (const int64_t limit = resources.memory_limit_bytes(); limit > 0) {
    ASSIGN_OR_RETURN(const auto stats, group.Stats());
    const uint64_t used = stats.memory().working_set_bytes();
    if (used > static_cast<uint64_t>(limit))
      return Fail(ErrorCode::kFailedPrecondition,
                  "memory limit {}: the sandbox uses {} now, the limit must be above that", limit,
                  used);
  }
  RETURN_IF_ERROR(LimitCpu(tree, group, resources));
  spec::Resources others = resources;
  others.clear_cpu_period_us();
  others.clear_cpu_quota_us();
  return group.Apply(others);
}

}  // namespace catamaran

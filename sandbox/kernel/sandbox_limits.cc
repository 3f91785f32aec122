#include "sandbox/kernel/sandbox_limits.h"

#include <algorithm>

namespace catamaran {
namespace {

constexpr int64_t kDefaultPeriodUs = 100'000;  // the kernel's, of both versions
constexpr uint64_t kMostShares = 262'144;

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
  return group.Apply(resources);
}

}  // namespace catamaran

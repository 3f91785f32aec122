#include "sandbox/kernel/sandbox_limits.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

spec::Resources Limits(int64_t memory, int64_t quota, int64_t period, uint64_t shares) {
  spec::Resources resources;
  resources.set_memory_limit_bytes(memory);
  resources.set_cpu_quota_us(quota);
  resources.set_cpu_period_us(period);
  resources.set_cpu_shares(shares);
  return resources;
}

TEST(SandboxLimits, OverheadComesOnTop) {
  const auto sum = AddOverhead(Limits(100, 50'000, 100'000, 512), Limits(28, 10'000, 50'000, 100));
  EXPECT_EQ(sum.memory_limit_bytes(), 128);
  EXPECT_EQ(sum.cpu_quota_us(), 70'000);  // a fifth of a CPU more
  EXPECT_EQ(sum.cpu_period_us(), 100'000);
  EXPECT_EQ(sum.cpu_shares(), 612u);
}

TEST(SandboxLimits, OverheadLimitsNothingByItself) {
  const auto sum = AddOverhead(Limits(0, -1, 0, 0), Limits(28, 10'000, 0, 100));
  EXPECT_EQ(sum.memory_limit_bytes(), 0);
  EXPECT_EQ(sum.cpu_quota_us(), -1);
  EXPECT_EQ(sum.cpu_shares(), 0u);
}

TEST(SandboxLimits, SharesStayWhatTheKernelTakes) {
  EXPECT_EQ(AddOverhead(Limits(0, 0, 0, 262'100), Limits(0, 0, 0, 100)).cpu_shares(), 262'144u);
}

TEST(SandboxLimits, SwapKeepsItsShare) {
  auto limits = Limits(100, 0, 0, 0);
  limits.set_memory_swap_limit_bytes(150);
  const auto sum = AddOverhead(limits, Limits(28, 0, 0, 0));
  EXPECT_EQ(sum.memory_swap_limit_bytes(), 178);
}

}  // namespace
}  // namespace catamaran

// The attack of hostile_containers_test.cc against an engine that leaves processes in its own group
// (outside_its_group.cc): it succeeds.
#include "sandbox/hostile/hostile_container.h"

namespace catamaran {
namespace {

class EngineOutsideItsGroup : public HostileContainer {};

TEST_F(EngineOutsideItsGroup, LetsProcessesOfAUserNamespaceBeyondTheirLimits) {
  if (auto mapped = CanIdMapImages(); !mapped) GTEST_SKIP() << mapped.error().message;
  const auto [started, executed] = ForksInAUserNamespace();
  EXPECT_EQ(started, 200);
  EXPECT_EQ(executed, 200);
}

}  // namespace
}  // namespace catamaran

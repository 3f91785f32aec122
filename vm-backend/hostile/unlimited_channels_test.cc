// Attacks of hostile_channels_test.cc against a host without its limits (without_limits.cc): they
// succeed, so it is that defence which stops them.
#include "vm-backend/hostile/hostile_guest_testing.h"

namespace catamaran {
namespace {

class WithoutLimits : public HostileGuest {};

TEST_F(WithoutLimits, ARequestWithoutEndIsHeldByTheVolumeServer) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  Attack({"fuse-endless", kEndless});
  EXPECT_GT(Growth(), kMostGrowth);
}

TEST_F(WithoutLimits, AMessageWithoutEndIsHeldByTheShim) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  Attack({"agent-message", kEndless});
  EXPECT_GT(Growth(), kMostGrowth);
}

}  // namespace
}  // namespace catamaran

// Attacks of hostile_channels_test.cc against a host without its frame checks
// (without_frame_checks.cc): they succeed, so it is that defence which stops them.
#include "vm-backend/hostile/hostile_guest_testing.h"

namespace catamaran {
namespace {

class WithoutFrameChecks : public HostileGuest {};

TEST_F(WithoutFrameChecks, AServerGivesItsOwnMemoryAway) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  const std::string report = Attack({"fuse-overread", "0", "leak"});
  EXPECT_EQ(Results(report, "write"), std::vector<std::string>{"ok"}) << report;
  EXPECT_GT(std::filesystem::file_size(host_ / "volume/leak"), 4096u);
}

TEST_F(WithoutFrameChecks, AFrameWithoutEndIsHeldByTheShim) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  Attack({"agent-frame", kEndless});
  EXPECT_GT(Growth(), kMostGrowth);
}

}  // namespace
}  // namespace catamaran

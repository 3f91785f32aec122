// The attacks against the daemon: they fail.
#include "cri/hostile/hostile_requests.h"

namespace catamaran {
namespace {

TEST_F(HostileCommand, OutputWithoutEndIsKeptUpToALimit) { EXPECT_LT(KeptOfAFlood(), 16u << 20); }

TEST_F(HostileCommand, AChildThatHoldsTheOutputOpenHoldsNoCall) {
  EXPECT_TRUE(EndsDespiteAChild());
}

TEST_F(HostileLog, NoNameLeadsOutOfTheLogsFolder) {
  for (const auto& way : WaysOut()) EXPECT_FALSE(WriteOutside(way)) << way;
}

}  // namespace
}  // namespace catamaran

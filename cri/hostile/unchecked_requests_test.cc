// The attacks of hostile_requests_test.cc against a daemon without limits of ExecSync
// (unlimited_exec_sync.cc) and checks of paths (unchecked_paths.cc): they succeed.
#include "cri/hostile/hostile_requests.h"

namespace catamaran {
namespace {

class UncheckedCommand : public HostileCommand {};
class UncheckedLog : public HostileLog {};

TEST_F(UncheckedCommand, OutputWithoutEndIsKept) { EXPECT_EQ(KeptOfAFlood(), 64u << 20); }

TEST_F(UncheckedCommand, AChildThatHoldsTheOutputOpenHoldsTheCall) {
  EXPECT_FALSE(EndsDespiteAChild());
}

TEST_F(UncheckedLog, NamesLeadOutOfTheLogsFolder) {
  for (const auto& way : WaysOut()) EXPECT_TRUE(WriteOutside(way)) << way;
}

}  // namespace
}  // namespace catamaran

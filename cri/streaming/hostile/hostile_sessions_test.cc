// The attacks against the server: they leave nothing.
#include "cri/streaming/hostile/session_attacks.h"

namespace catamaran {
namespace {

using HostileSessions = SessionAttacks;

TEST_F(HostileSessions, OfMissingProgramsLeaveNoThreads) {
  EXPECT_LE(ThreadsLeftOfMissingPrograms(200), 2);
}

TEST_F(HostileSessions, ThatAttachAndLeaveLeaveNoThreads) {
  EXPECT_LE(ThreadsLeftOfAttaching(200), 2);
}

}  // namespace
}  // namespace catamaran

// The attacks of hostile_sessions_test.cc against a server whose sessions wait for a process
// whatever became of it (sessions_that_wait.cc): they succeed.
#include "cri/streaming/hostile/session_attacks.h"

namespace catamaran {
namespace {

using UnendedSessions = SessionAttacks;

TEST_F(UnendedSessions, OfMissingProgramsKeepAThreadEach) {
  EXPECT_GE(ThreadsLeftOfMissingPrograms(200), 200);
}

TEST_F(UnendedSessions, ThatAttachAndLeaveKeepAThreadEach) {
  EXPECT_GE(ThreadsLeftOfAttaching(200), 200);
}

}  // namespace
}  // namespace catamaran

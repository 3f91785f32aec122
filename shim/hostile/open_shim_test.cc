// The attacks of hostile_shim_test.cc against a daemon that starts shims from their file
// (program_as_it_is.cc), and a shim that answers everybody (any_peer.cc): they succeed.
#include "shim/hostile/hostile_shim.h"

namespace catamaran {
namespace {

class OpenShim : public HostileShim {};

TEST_F(OpenShim, AContainerOverwritesItsProgram) { EXPECT_EQ(OverwriteProgram(), "ok"); }

TEST_F(OpenShim, AnotherUserIsAnsweredWhereItReachesTheSocket) {
  EXPECT_EQ(GreetAsAnotherUser(Modes::kAllOpen), "answered");
}

}  // namespace
}  // namespace catamaran

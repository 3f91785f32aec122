// Linked in the place of session_left.cc, into a test.
#include "cri/streaming/session_left.h"

namespace catamaran {

SessionLeft LeftWithoutClient(const SessionState& state) {
  return state.begun ? SessionLeft::kProcess : SessionLeft::kNothing;
}

}  // namespace catamaran

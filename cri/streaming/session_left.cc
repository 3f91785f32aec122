#include "cri/streaming/session_left.h"

namespace catamaran {

SessionLeft LeftWithoutClient(const SessionState& state) {
  if (state.finished || !state.begun) return SessionLeft::kNothing;
  if (!state.connected) return SessionLeft::kStart;
  return state.attached ? SessionLeft::kNothing : SessionLeft::kProcess;
}

}  // namespace catamaran

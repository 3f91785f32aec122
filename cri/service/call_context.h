#pragma once

#include <functional>
#include <string>

#include "sandbox/base/deadline.h"

namespace catamaran {

// What an RPC's function knows about its caller. Passed down by reference for as long as the call
// lasts.
struct CallContext {
  // The caller's own deadline, or the service's where the caller gave none. Nothing waits longer.
  Deadline deadline = Deadline::Never();
  // True once the caller has gone away. Cheap, thread-safe; polled by the calls that wait. Empty:
  // nobody can cancel.
  std::function<bool()> is_cancelled;

  // Told what the call is at where that may take long, and "" when it is not; may be empty.
  std::function<void(const std::string&)> on_step = {};

  bool cancelled() const { return is_cancelled && is_cancelled(); }
};

}  // namespace catamaran

#pragma once

#include <condition_variable>
#include <mutex>

#include "cri/service/call_context.h"
#include "sandbox/base/result.h"

namespace catamaran {

// How often a waiting call looks whether its caller has gone: a synchronous gRPC server cannot be
// told.
inline constexpr std::chrono::milliseconds kCancelPoll{100};

// Waits until `done` holds. kDeadlineExceeded once `deadline` is over, kAborted once the caller
// has gone. `lock` is held when this returns.
template <typename Lock, typename Condition, typename Predicate>
Status WaitFor(Lock& lock, Condition& changed, Deadline deadline, const CallContext& call,
               Predicate done) {
  while (!done()) {
    if (call.cancelled()) return Fail(ErrorCode::kAborted, "the caller has gone");
    if (deadline.expired()) return Fail(ErrorCode::kDeadlineExceeded, "the time is over");
    changed.wait_until(lock, deadline.Earlier(Deadline::After(kCancelPoll)).at());
  }
  return {};
}

}  // namespace catamaran

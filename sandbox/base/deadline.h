#pragma once

#include <algorithm>
#include <chrono>

namespace catamaran {

// A point in monotonic time by which a blocking step must have ended. Every RPC handler makes one
// from the caller's deadline and passes it down; nothing waits without one.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  static Deadline After(std::chrono::milliseconds duration) {
    return Deadline(Clock::now() + duration);
  }
  static Deadline Never() { return Deadline(Clock::time_point::max()); }
  explicit Deadline(Clock::time_point at) : at_(at) {}

  bool never() const { return at_ == Clock::time_point::max(); }
  bool expired() const { return !never() && Clock::now() >= at_; }
  Clock::time_point at() const { return at_; }
  // Time left, never negative; a day where there is no deadline (fits poll(2)'s int).
  std::chrono::milliseconds Remaining() const {
    if (never()) return std::chrono::hours(24);
    auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now());
    return std::clamp<std::chrono::milliseconds>(left, std::chrono::milliseconds(0),
                                                 std::chrono::hours(24));
  }
  Deadline Earlier(Deadline other) const { return Deadline(std::min(at_, other.at_)); }

 private:
  Clock::time_point at_;
};

}  // namespace catamaran

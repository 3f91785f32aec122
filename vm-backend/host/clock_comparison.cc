#include "vm-backend/host/clock_comparison.h"

namespace catamaran {

void ClockComparison::Ask() {
  ++asked_;
  asked_at_ = std::chrono::steady_clock::now();
  asked_at_time_ = std::chrono::system_clock::now();
}

void ClockComparison::Answer(int64_t guest_ns) {
  const std::chrono::nanoseconds taken = std::chrono::steady_clock::now() - asked_at_;
  if (taken >= quickest_) return;
  quickest_ = taken;
  const std::chrono::nanoseconds halfway = asked_at_time_.time_since_epoch() + taken / 2;
  // Wraps round instead of overflowing: what the guest says may be anything.
  step_ns_ = static_cast<int64_t>(static_cast<uint64_t>(halfway.count()) -
                                  static_cast<uint64_t>(guest_ns));
}

}  // namespace catamaran

#pragma once

#include <chrono>
#include <string>

#include "sandbox/base/result.h"

namespace catamaran::e2e {

// How far another clock is from this host's: it lies within offset - error and offset + error.
struct ClockReading {
  std::chrono::nanoseconds offset{0}, error{0};

  // The most it can be off, either way.
  std::chrono::nanoseconds Worst() const { return (offset.count() < 0 ? -offset : offset) + error; }
};

// Asks `probe clock` at an address, many times within `limit`, and keeps the quickest answer: the
// one whose path says least about the clock (as NTP does). Ends early once the error is small.
Result<ClockReading> ReadClockOf(const std::string& ip, int port, std::chrono::seconds limit);

}  // namespace catamaran::e2e

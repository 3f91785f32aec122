#pragma once

#include <chrono>
#include <cstdint>

namespace catamaran {

// How far a guest's clock is from this host's, from questions that the guest answers with its time.
// A message may be under way for long on a busy host, more so where the guest is emulated: the
// quickest answer counts, taken to have been given halfway (as in RFC 5905), and asking goes on
// until one was quick or there were many.
class ClockComparison {
 public:
  void Ask();
  // guest_ns: Unix time in the answer to the last question.
  void Answer(int64_t guest_ns);
  bool done() const { return quickest_ <= kQuick || asked_ >= kMostQuestions; }
  // To be added to the guest's clock.
  int64_t step_ns() const { return step_ns_; }

 private:
  static constexpr std::chrono::milliseconds kQuick{20};
  static constexpr int kMostQuestions = 10;

  int asked_ = 0;
  std::chrono::steady_clock::time_point asked_at_;
  std::chrono::system_clock::time_point asked_at_time_;
  std::chrono::nanoseconds quickest_ = std::chrono::nanoseconds::max();
  int64_t step_ns_ = 0;
};

}  // namespace catamaran

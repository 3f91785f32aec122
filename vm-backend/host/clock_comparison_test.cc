#include "vm-backend/host/clock_comparison.h"

#include <gtest/gtest.h>

#include <thread>

namespace catamaran {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kBehind = std::chrono::hours(1);

int64_t GuestNow() {
  return (std::chrono::system_clock::now().time_since_epoch() - kBehind).count();
}

TEST(ClockComparison, FindsHowFarTheGuestIsBehind) {
  ClockComparison clock;
  while (!clock.done()) {
    clock.Ask();
    clock.Answer(GuestNow());
  }
  EXPECT_LT(std::abs(clock.step_ns() - kBehind.count()), 1'000'000'000);
}

TEST(ClockComparison, ASlowAnswerCountsOnlyUntilAQuickerOneCame) {
  ClockComparison clock;
  clock.Ask();
  const int64_t early = GuestNow();
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  clock.Answer(early);  // 200 ms wrong, taken for halfway
  EXPECT_FALSE(clock.done());
  EXPECT_GT(clock.step_ns(), (kBehind + std::chrono::milliseconds(150)).count());
  const int64_t first = clock.step_ns();
  while (!clock.done()) {
    clock.Ask();
    clock.Answer(GuestNow());
  }
  EXPECT_LT(clock.step_ns(), first);
}

TEST(ClockComparison, AnyAnswerOfAHostileGuestIsANumber) {
  for (const int64_t guest : {INT64_MIN, int64_t{-1}, INT64_MAX}) {
    ClockComparison clock;
    clock.Ask();
    clock.Answer(guest);
    const auto now = static_cast<uint64_t>(GuestNow() + kBehind.count());
    const uint64_t set = static_cast<uint64_t>(guest) + static_cast<uint64_t>(clock.step_ns());
    EXPECT_LT(now - set, 60'000'000'000u) << guest << ": the guest, stepped, shows another time";
  }
}

TEST(ClockComparison, EndsThoughEveryAnswerIsSlow) {
  ClockComparison clock;
  int questions = 0;
  for (; !clock.done() && questions < 100; ++questions) {
    clock.Ask();
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
    clock.Answer(GuestNow());
  }
  EXPECT_LT(questions, 100);
}

}  // namespace
}  // namespace catamaran

#include "cri/doctor/thread_probe.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>

namespace catamaran {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong(30'000);

Probe Named(std::function<Result<Finding>()> run) {
  return {.name = "thing", .meaning = "less", .remedy = "more", .run = std::move(run)};
}

TEST(ThreadProbe, SaysWhatItFound) {
  EXPECT_EQ(RunProbeInThread(Named([] { return Works("fine"); }), kLong),
            (Finding{"thing", FindingStatus::kOk, "fine", "", ""}));
  EXPECT_EQ(RunProbeInThread(Named([]() -> Result<Finding> {
                               return Fail(ErrorCode::kInternal, "it is broken");
                             }),
                             kLong),
            (Finding{"thing", FindingStatus::kMissing, "it is broken", "less", "more"}));
  EXPECT_FALSE(ProbeThreadsLeft());
}

TEST(ThreadProbe, LeavesOneThatHangsBehind) {
  auto end = std::make_shared<std::promise<void>>();
  auto ended = std::make_shared<std::promise<void>>();
  bool cleaned = false;
  Probe probe = Named([end, ended]() -> Result<Finding> {
    end->get_future().wait();
    ended->set_value();
    return Works("late");
  });
  probe.clean_up = [&] { cleaned = true; };
  const Finding found = RunProbeInThread(probe, milliseconds(1000));
  EXPECT_EQ(found.seen, "no answer within 1 s");
  EXPECT_NE(found.remedy.find("--patience 30; else more"), std::string::npos) << found.remedy;
  EXPECT_EQ(found.status, FindingStatus::kMissing);
  EXPECT_TRUE(cleaned);
  EXPECT_TRUE(ProbeThreadsLeft());
  // It may go on and end without harm.
  end->set_value();
  ended->get_future().wait();
}

}  // namespace
}  // namespace catamaran

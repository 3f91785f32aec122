#include "sandbox/spec/scheduling.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace catamaran {
namespace {

spec::ProcessSpec With(spec::Scheduler::Policy policy,
                       const std::function<void(spec::Scheduler&)>& change = {}) {
  spec::ProcessSpec process;
  process.mutable_scheduler()->set_policy(policy);
  if (change) change(*process.mutable_scheduler());
  return process;
}

spec::ProcessSpec With(spec::IoPriority::Kind kind, uint32_t level) {
  spec::ProcessSpec process;
  process.mutable_io_priority()->set_kind(kind);
  process.mutable_io_priority()->set_level(level);
  return process;
}

constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();

TEST(Scheduling, IsAllowedWhereAKernelKnowsIt) {
  EXPECT_TRUE(CheckScheduling({}, "process."));
  const spec::ProcessSpec rows[] = {
      With(spec::IoPriority::NONE, 0),
      With(spec::IoPriority::REAL_TIME, 0),
      With(spec::IoPriority::BEST_EFFORT, 7),
      With(spec::IoPriority::IDLE, 7),
      With(spec::Scheduler::OTHER, [](auto& s) { s.set_nice(19); }),
      With(spec::Scheduler::BATCH, [](auto& s) { s.set_nice(-20); }),
      With(spec::Scheduler::IDLE),
      With(spec::Scheduler::FIFO, [](auto& s) { s.set_priority(1); }),
      With(spec::Scheduler::ROUND_ROBIN, [](auto& s) { s.set_priority(99); }),
      With(spec::Scheduler::OTHER, [](auto& s) { s.set_flags(0x1f); }),
      With(spec::Scheduler::DEADLINE,
           [](auto& s) {
             s.set_runtime_ns(1024);
             s.set_deadline_ns(1024);
           }),
  };
  for (const auto& process : rows) {
    auto checked = CheckScheduling(process, "process.");
    EXPECT_TRUE(checked) << checked.error().message;
  }
}

TEST(Scheduling, IsRefusedByNameWhereNoneDoes) {
  const auto times = [](uint64_t runtime, uint64_t deadline, uint64_t period) {
    return With(spec::Scheduler::DEADLINE, [=](spec::Scheduler& s) {
      s.set_runtime_ns(runtime);
      s.set_deadline_ns(deadline);
      s.set_period_ns(period);
    });
  };
  const struct {
    spec::ProcessSpec process;
    const char* field;
  } rows[] = {
      {With(spec::IoPriority::BEST_EFFORT, 8), "io_priority.level 8"},
      {With(spec::IoPriority::NONE, 1), "io_priority.level 1"},
      {With(static_cast<spec::IoPriority::Kind>(4), 0), "io_priority.kind 4"},
      {With(static_cast<spec::Scheduler::Policy>(4)), "scheduler.policy 4"},
      {With(spec::Scheduler::OTHER, [](auto& s) { s.set_nice(-21); }), "scheduler.nice -21"},
      {With(spec::Scheduler::BATCH, [](auto& s) { s.set_nice(20); }), "scheduler.nice 20"},
      {With(spec::Scheduler::IDLE, [](auto& s) { s.set_nice(1); }), "scheduler.nice 1"},
      {With(spec::Scheduler::OTHER, [](auto& s) { s.set_priority(1); }), "scheduler.priority 1"},
      {With(spec::Scheduler::FIFO), "scheduler.priority 0"},
      {With(spec::Scheduler::ROUND_ROBIN, [](auto& s) { s.set_priority(100); }),
       "scheduler.priority 100"},
      {With(spec::Scheduler::OTHER, [](auto& s) { s.set_runtime_ns(2); }), "scheduler.runtime 2"},
      {With(spec::Scheduler::FIFO,
            [](auto& s) {
              s.set_priority(2);
              s.set_deadline_ns(3);
            }),
       "scheduler.deadline 3"},
      {With(spec::Scheduler::IDLE, [](auto& s) { s.set_period_ns(4); }), "scheduler.period 4"},
      {times(1023, 4096, 4096), "scheduler.runtime 1023"},
      {times(4096, 4095, 8192), "scheduler.deadline 4095"},
      {times(4096, kMost, 0), "scheduler.deadline 18446744073709551615"},
      {times(4096, 8192, 8191), "scheduler.period 8191"},
      {With(spec::Scheduler::OTHER, [](auto& s) { s.set_flags(0x21); }), "scheduler.flags 0x21"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.field);
    auto checked = CheckScheduling(row.process, "here.");
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
    EXPECT_TRUE(checked.error().message.starts_with(std::string("here.") + row.field))
        << checked.error().message;
  }
}

}  // namespace
}  // namespace catamaran

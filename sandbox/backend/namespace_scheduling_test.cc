// I/O priority and scheduler of a container's processes.
#include "sandbox/backend/engine_fixture.h"

namespace catamaran {
namespace {

class Scheduling : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    CreateSandbox();
  }
  // What a container's process has that was given these.
  Report With(const std::function<void(spec::ProcessSpec&)>& change) {
    auto spec = ProbeSpec(NextId(), {"priorities"});
    change(*spec.mutable_process());
    return Run(spec);
  }
  std::string SchedulerWith(const std::function<void(spec::Scheduler&)>& change) {
    return With([&](auto& process) { change(*process.mutable_scheduler()); })["scheduler"];
  }
};

TEST_F(Scheduling, IsTheEnginesOwnUnlessItIsGiven) {
  auto report = With([](auto&) {});
  EXPECT_EQ(report["io-priority"], "0:0");
  EXPECT_TRUE(report["scheduler"].starts_with("0 nice ")) << report["scheduler"];
}

TEST_F(Scheduling, IsThatOfItsSpecification) {
  auto report = With([](auto& process) {
    process.mutable_io_priority()->set_kind(spec::IoPriority::IDLE);
    process.mutable_io_priority()->set_level(7);
    process.mutable_user()->set_user("1000");
  });
  EXPECT_EQ(report["io-priority"], "3:7");
  EXPECT_EQ(SchedulerWith([](auto& scheduler) {
              scheduler.set_policy(spec::Scheduler::BATCH);
              scheduler.set_nice(-20);
            }),
            "3 nice -20 priority 0 flags 0");
  EXPECT_EQ(SchedulerWith([](auto& scheduler) {
              scheduler.set_policy(spec::Scheduler::IDLE);
              scheduler.set_flags(1);  // SCHED_FLAG_RESET_ON_FORK
            }),
            "5 nice 0 priority 0 flags 1");
  EXPECT_EQ(SchedulerWith([](auto& scheduler) {
              scheduler.set_policy(spec::Scheduler::DEADLINE);
              scheduler.set_runtime_ns(1'000'000);
              scheduler.set_deadline_ns(10'000'000);
              scheduler.set_period_ns(20'000'000);
            }),
            "6 nice 0 priority 0 flags 0 times 1000000,10000000,20000000");
}

TEST_F(Scheduling, OfWhatIsExecutedLaterIsTheContainersToo) {
  auto spec = ProbeSpec("one", {"forever"});
  spec.mutable_process()->mutable_io_priority()->set_kind(spec::IoPriority::REAL_TIME);
  spec.mutable_process()->mutable_io_priority()->set_level(2);
  spec.mutable_process()->mutable_scheduler()->set_nice(11);
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  ASSERT_TRUE(Exec("one", "e", {"/probe", "priorities"}));
  WaitExit("one", "e");
  auto report = ParseReport(Stdout("one", "e"));
  EXPECT_EQ(report["io-priority"], "1:2");
  EXPECT_EQ(report["scheduler"], "0 nice 11 priority 0 flags 0");
}

// cgroup v1 gives no group real-time runtime by itself, where the kernel has any of it.
TEST_F(Scheduling, InRealTimeIsHadOrTheErrorSaysWhatItTakes) {
  auto spec = ProbeSpec("one", {"priorities"});
  spec.mutable_process()->mutable_scheduler()->set_policy(spec::Scheduler::FIFO);
  spec.mutable_process()->mutable_scheduler()->set_priority(42);
  if (!Exists("/sys/fs/cgroup/cpu/cpu.rt_runtime_us")) {
    EXPECT_EQ(Run(spec)["scheduler"], "1 nice 0 priority 42 flags 0");
    return;
  }
  const auto created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, ErrorCode::kPermissionDenied);
  for (const char* word : {"process.scheduler FIFO", "CAP_SYS_NICE", "CONFIG_RT_GROUP_SCHED"})
    EXPECT_NE(created.error().message.find(word), std::string::npos) << created.error().message;
  EXPECT_EQ(List().containers_size(), 0);
}

TEST_F(Scheduling, ThatNoKernelKnowsIsRefusedByName) {
  auto spec = ProbeSpec("one", {"priorities"});
  spec.mutable_process()->mutable_io_priority()->set_kind(spec::IoPriority::BEST_EFFORT);
  spec.mutable_process()->mutable_io_priority()->set_level(8);
  const auto created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(created.error().message.find("process.io_priority.level 8") != std::string::npos)
      << created.error().message;
}

}  // namespace
}  // namespace catamaran

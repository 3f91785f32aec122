#include <atomic>
#include <thread>

#include "cri/pods/testing/pods_test.h"

namespace catamaran {
namespace {

class StopContainerTest : public PodsTest {
 protected:
  std::string Running(const std::vector<std::string>& args) {
    pod_ = Run("web").value_or("");
    const std::string container = Create(pod_, "main", args).value_or("");
    EXPECT_TRUE(Start(container));
    return container;
  }
  int StopSignals(const std::string& container) {
    auto shim = world_->Find(pod_);
    std::lock_guard lock(world_->mutex);
    return shim->stop_signals[container];
  }
  void AwaitStopSignal(const std::string& container) {
    while (StopSignals(container) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::string pod_;
};

TEST_F(StopContainerTest, NoTimeMeansSigkillAtOnce) {
  const auto container = Running({"run"});
  ASSERT_OK(Stop(container, 0));
  EXPECT_EQ(StatusOf(container).exit_code(), 137);
  EXPECT_EQ(StopSignals(container), 0);
}

TEST_F(StopContainerTest, WhatIgnoresItsSignalIsKilledWhenItsTimeIsOver) {
  const auto container = Running({"trap"});
  ASSERT_OK(Stop(container, 1));
  EXPECT_EQ(StatusOf(container).exit_code(), 137);
  EXPECT_EQ(StopSignals(container), 1);
}

TEST_F(StopContainerTest, ALaterCallShortensTheWaitAndSendsNoSecondSignal) {
  const auto container = Running({"trap"});
  Status first;
  std::thread patient([&] { first = Stop(container, 3600); });
  AwaitStopSignal(container);
  ASSERT_OK(Stop(container, 1));
  patient.join();
  ASSERT_OK(first);
  EXPECT_EQ(StopSignals(container), 1);
  EXPECT_EQ(StatusOf(container).exit_code(), 137);
}

TEST_F(StopContainerTest, TheSignalIsNotSentAgainByTheNextDaemon) {
  const auto container = Running({"trap"});
  CallContext call = Call();
  std::atomic<bool> gone = false;
  call.is_cancelled = [&] { return gone.load(); };
  std::thread caller([&] { EXPECT_FALSE(Stop(container, 3600, call)); });
  AwaitStopSignal(container);
  gone = true;
  caller.join();
  StartDaemon();
  ASSERT_OK(Stop(container, 1));
  EXPECT_EQ(StopSignals(container), 1);
}

TEST_F(StopContainerTest, ACallerThatGoesAwayKillsNothing) {
  const auto container = Running({"trap"});
  CallContext call = Call();
  call.is_cancelled = [] { return true; };
  EXPECT_EQ(Stop(container, 1, call).error().code, ErrorCode::kAborted);
  call = {.deadline = Deadline::After(std::chrono::milliseconds(200))};
  EXPECT_EQ(Stop(container, 3600, call).error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(StatusOf(container).state(), v1::CONTAINER_RUNNING);
}

TEST_F(StopContainerTest, WhatDoesNotRunIsLeftAsItIs) {
  const auto exited = Running({"exit", "3"});
  ASSERT_OK(Stop(exited, 10));
  EXPECT_EQ(StatusOf(exited).exit_code(), 3);
  const auto created = Create(pod_, "created");
  ASSERT_OK(created);
  ASSERT_OK(Stop(*created, 10));
  EXPECT_EQ(StatusOf(*created).state(), v1::CONTAINER_CREATED);
  EXPECT_EQ(Stop(*created, -1).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(StopContainerTest, APodWhoseShimDoesNotAnswerIsEndedAndOthersAreNot) {
  const auto other = Run("other");
  ASSERT_OK(other);
  const auto container = Running({"run"});
  world_->Find(pod_)->frozen = true;
  ASSERT_OK(Stop(container, 0));
  EXPECT_EQ(StatusOf(container).state(), v1::CONTAINER_EXITED);
  Settle();
  EXPECT_EQ(SandboxOf(pod_).status().state(), v1::SANDBOX_NOTREADY);
  EXPECT_EQ(SandboxOf(*other).status().state(), v1::SANDBOX_READY);
}

TEST_F(StopContainerTest, RemovingARunningContainerKillsIt) {
  const auto container = Running({"trap"});
  ASSERT_OK(Remove(container));
  EXPECT_EQ(TryStatus(container).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(world_->Find(pod_)->containers.empty());
  EXPECT_TRUE(world_->leases.empty());
}

TEST_F(StopContainerTest, APodStopsAlsoWhenItsShimIsFrozen) {
  const auto container = Running({"run"});
  world_->Find(pod_)->frozen = true;
  ASSERT_OK(StopSandbox(pod_));
  EXPECT_EQ(world_->Describe(), "lease " + container + "\n");
  ASSERT_OK(RemoveSandbox(pod_));
  ExpectNothingLeft();
}

}  // namespace
}  // namespace catamaran

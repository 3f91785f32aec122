// Machines that wait for their pods, upon fake shims.
#include "cri/pods/machine_pool.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "cri/pods/testing/pods_test.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr int kWanted = 2;

class Pool : public PodsTest {
 protected:
  void Configure(Config& config) override { config.handlers[1].pool = kWanted; }

  template <typename Condition>
  static bool WaitUntil(Condition condition) {
    const Deadline deadline = Deadline::After(kPatience);
    while (!condition()) {
      if (deadline.expired()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  nlohmann::json Info() {
    const auto info = pods_->pool().Info();
    if (info.empty()) return nlohmann::json::object();
    return nlohmann::json::parse(info.at("pool"))["vm"];
  }
  bool WaitFilled() {
    return WaitUntil([&] { return Info().value("waiting", 0) == kWanted; });
  }
  bool WaitFor(const std::string& what, int count) {
    return WaitUntil([&] { return Info().value(what, 0) >= count; });
  }
  v1::RunPodSandboxRequest VmRequest(const std::string& name, int64_t memory = 0) {
    auto request = PodRequest(name);
    request.set_runtime_handler("vm");
    request.mutable_config()->mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(
        memory);
    return request;
  }
  Result<std::string> RunVm(const v1::RunPodSandboxRequest& request) {
    ASSIGN_OR_RETURN(auto response, RunPodSandbox(request, Call(), *pods_));
    return response.pod_sandbox_id();
  }
  bool IsFromPool(const std::string& pod) {
    return SandboxOf(pod, true).info().at("info").find("from the pool") != std::string::npos;
  }
  std::set<std::string> Shims() {
    std::lock_guard lock(world_->mutex);
    std::set<std::string> ids;
    for (const auto& [pod, shim] : world_->shims) ids.insert(pod);
    return ids;
  }
};

TEST_F(Pool, FillsAndShowsInNoList) {
  ASSERT_TRUE(WaitFilled());
  EXPECT_EQ(Shims().size(), kWanted);
  EXPECT_EQ(SandboxIds(), std::vector<std::string>());
}

TEST_F(Pool, APodTakesAMachineUnderItsIdAndThePoolFillsAgain) {
  ASSERT_TRUE(WaitFilled());
  const auto waiting = Shims();
  const auto pod = RunVm(VmRequest("one"));
  ASSERT_OK(pod);
  EXPECT_TRUE(waiting.contains(*pod));
  EXPECT_TRUE(IsFromPool(*pod));
  EXPECT_EQ(SandboxIds(), std::vector<std::string>{*pod});
  ASSERT_TRUE(WaitFilled());
  EXPECT_EQ(Info().value("made", 0), kWanted + 1);
  ASSERT_OK(RemoveSandbox(*pod));
  EXPECT_EQ(Shims().size(), kWanted);
}

TEST_F(Pool, ServesOnlyPodsOfItsHandlerAndSize) {
  ASSERT_TRUE(WaitFilled());
  const auto other = Run("on-ns");
  ASSERT_OK(other);
  EXPECT_FALSE(IsFromPool(*other));
  const auto small = RunVm(VmRequest("small", 100 << 20));
  const auto fits = RunVm(VmRequest("fits", 150 << 20));
  const auto large = RunVm(VmRequest("large", (200 << 20) + 1));
  ASSERT_TRUE(small && fits && large);
  EXPECT_FALSE(IsFromPool(*small));
  EXPECT_TRUE(IsFromPool(*fits));
  EXPECT_FALSE(IsFromPool(*large));
}

TEST_F(Pool, NoTwoPodsGetTheSameMachine) {
  ASSERT_TRUE(WaitFilled());
  constexpr int kPods = 6;
  std::vector<Result<std::string>> pods(kPods, std::string());
  std::vector<std::thread> threads;
  for (int i = 0; i < kPods; ++i)
    threads.emplace_back([&, i] { pods[i] = RunVm(VmRequest("pod" + std::to_string(i))); });
  for (auto& thread : threads) thread.join();
  std::set<std::string> ids;
  int from_pool = 0;
  for (const auto& pod : pods) {
    ASSERT_OK(pod);
    ids.insert(*pod);
    from_pool += IsFromPool(*pod);
  }
  EXPECT_EQ(ids.size(), static_cast<size_t>(kPods));
  EXPECT_EQ(from_pool, kWanted);
}

TEST_F(Pool, TheSameRequestAgainTakesNoMachine) {
  ASSERT_TRUE(WaitFilled());
  const auto pod = RunVm(VmRequest("one"));
  ASSERT_TRUE(pod && WaitFilled());
  const auto again = RunVm(VmRequest("one"));
  ASSERT_OK(again);
  EXPECT_EQ(*again, *pod);
  EXPECT_EQ(Info().value("waiting", 0), kWanted);
  EXPECT_EQ(Info().value("used", 0), 1);
}

TEST_F(Pool, AFailedClaimStartsThePodAsAnyOther) {
  ASSERT_TRUE(WaitFilled());
  world_->on_step = [](const std::string& step) -> Status {
    if (step == "claim") return Fail(ErrorCode::kUnavailable, "the machine is dead");
    return {};
  };
  const auto pod = RunVm(VmRequest("one"));
  ASSERT_OK(pod);
  EXPECT_FALSE(IsFromPool(*pod));
  EXPECT_EQ(Info().value("failedClaims", 0), 1);
  EXPECT_EQ(SandboxOf(*pod).status().state(), v1::SANDBOX_READY);
  std::lock_guard lock(notices_mutex_);
  EXPECT_NE(notices_.find("the machine is dead"), std::string::npos) << notices_;
}

TEST_F(Pool, AClaimThatFailsByTheRequestFailsThePod) {
  ASSERT_TRUE(WaitFilled());
  world_->on_step = [](const std::string& step) -> Status {
    if (step == "claim") return Fail(ErrorCode::kInvalidArgument, "no such sysctl");
    return {};
  };
  EXPECT_FALSE(RunVm(VmRequest("one")));
  EXPECT_EQ(Info().value("failedClaims", 0), 0);
  ASSERT_TRUE(WaitFilled());
  EXPECT_EQ(Shims().size(), kWanted);
}

TEST_F(Pool, APodOfAnotherParentTakesItsMachineAlong) {
  ASSERT_TRUE(WaitFilled());
  auto request = VmRequest("one");
  request.mutable_config()->mutable_linux()->set_cgroup_parent("/kubepods/one");
  const auto pod = RunVm(request);
  ASSERT_OK(pod);
  EXPECT_TRUE(IsFromPool(*pod));
  EXPECT_EQ(world_->Find(*pod)->cgroup, "/kubepods/one/" + *pod);
  std::lock_guard lock(world_->mutex);
  EXPECT_FALSE(world_->cgroups.contains("/fake/" + *pod));
}

TEST_F(Pool, ADeadMachineIsReplaced) {
  ASSERT_TRUE(WaitFilled());
  const std::string dead = *Shims().begin();
  world_->KillShim(dead);
  ASSERT_TRUE(WaitFor("lost", 1));
  ASSERT_TRUE(WaitFilled());
  EXPECT_FALSE(Shims().contains(dead));
  EXPECT_TRUE(WaitUntil([&] { return Files().size() == 2 * kWanted; })) << Files().size();
}

TEST_F(Pool, WhatCannotBeMadeIsTriedAgainAndSaidOnce) {
  ASSERT_TRUE(WaitFilled());
  std::atomic<int> tries = 0;
  world_->on_step = [&](const std::string& step) -> Status {
    if (step != "prepare-sandbox" || ++tries > 2) return {};
    return Fail(ErrorCode::kUnavailable, "no template yet");
  };
  ASSERT_OK(RunVm(VmRequest("one")));
  ASSERT_TRUE(WaitFilled());
  EXPECT_EQ(tries, 3);
  std::lock_guard lock(notices_mutex_);
  const size_t first = notices_.find("no template yet");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(notices_.find("no template yet", first + 1), std::string::npos) << notices_;
}

TEST_F(Pool, TheEndOfTheDaemonEndsWhatWaitsAndLeavesThePods) {
  ASSERT_TRUE(WaitFilled());
  const auto pod = RunVm(VmRequest("one"));
  ASSERT_OK(pod);
  pods_.reset();
  EXPECT_EQ(Shims(), std::set<std::string>{*pod});
}

TEST_F(Pool, TheNextDaemonEndsWhatAKilledOneLeftWaiting) {
  ASSERT_TRUE(WaitFilled());
  const auto left = Shims();
  // As a killed one leaves them: this one ends its own.
  pods_.reset();
  for (const std::string& id : left) {
    ASSERT_TRUE(MakeDirectories((folder_ / "run/pods" / id).value()));
    ASSERT_TRUE(MakeDirectories((folder_ / "root/pods" / id).value()));
    std::lock_guard lock(world_->mutex);
    world_->shims[id] = std::make_shared<FakeWorld::Shim>();
    world_->shims[id]->cgroup = "/fake/" + id;
    world_->cgroups.insert("/fake/" + id);
  }
  StartDaemon();
  ASSERT_TRUE(WaitFilled());
  for (const std::string& id : left) EXPECT_FALSE(Shims().contains(id));
  EXPECT_EQ(Files().size(), 2 * kWanted);
}

}  // namespace
}  // namespace catamaran

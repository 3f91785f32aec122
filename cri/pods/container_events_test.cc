#include "cri/pods/container_events.h"

#include <algorithm>
#include <thread>

#include "cri/pods/testing/pods_test.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;

// "created", "started", ... of the ids that a test has names for.
class Events : public PodsTest {
 protected:
  using Subscription = ContainerEvents::Subscription;

  std::vector<std::string> Take(Subscription& subscription) {
    std::vector<std::string> told;
    for (;;) {
      const auto event = subscription.Next(milliseconds(100));
      EXPECT_TRUE(event) << event.error().message;
      if (!event || !*event) return told;
      EXPECT_GT((*event)->created_at(), 0);
      EXPECT_TRUE((*event)->has_pod_sandbox_status());
      std::string type = v1::ContainerEventType_Name((*event)->container_event_type());
      const std::string& id = (*event)->container_id();
      told.push_back((names_.contains(id) ? names_[id] : "other") + " " +
                     type.substr(10, type.size() - 16));
    }
  }
  std::string RunNamed(const std::string& name) {
    const auto pod = Run(name);
    EXPECT_TRUE(pod) << pod.error().message;
    names_[*pod] = name;
    return *pod;
  }
  std::string CreateNamed(const std::string& pod, const std::string& name,
                          const std::vector<std::string>& args = {"run"}) {
    const auto container = Create(pod, name, args);
    EXPECT_TRUE(container) << container.error().message;
    names_[*container] = name;
    return *container;
  }
  using Told = std::vector<std::string>;

  std::map<std::string, std::string> names_;
};

TEST_F(Events, TellALifeInOrderAndOnce) {
  Subscription first(pods_->events()), second(pods_->events());
  const auto pod = RunNamed("pod");
  Take(first);
  const auto main = CreateNamed(pod, "main");
  ASSERT_OK(Start(main));
  EXPECT_EQ(Take(first), (Told{"main CREATED", "main STARTED"}));
  ASSERT_OK(Stop(main, 0));
  EXPECT_EQ(Take(first), (Told{"main STOPPED"}));
  ASSERT_OK(Remove(main));
  EXPECT_EQ(Take(first), (Told{"main DELETED"}));
  ASSERT_OK(StopSandbox(pod));
  ASSERT_OK(StopSandbox(pod));
  EXPECT_EQ(Take(first), (Told{"pod STOPPED"}));
  ASSERT_OK(RemoveSandbox(pod));
  EXPECT_EQ(Take(first), (Told{"pod DELETED"}));
  // The other one was told the same, from the beginning. A pod's first two come before a test can
  // know its name.
  EXPECT_EQ(Take(second), (Told{"pod CREATED", "pod STARTED", "main CREATED", "main STARTED",
                                "main STOPPED", "main DELETED", "pod STOPPED", "pod DELETED"}));
}

TEST_F(Events, AContainerThatEndsAtOnceWasStartedBefore) {
  const auto pod = RunNamed("pod");
  const auto quick = CreateNamed(pod, "quick", {"exit", "3"});
  Subscription subscription(pods_->events());
  ASSERT_OK(Start(quick));
  EXPECT_EQ(Take(subscription), (Told{"quick STARTED", "quick STOPPED"}));
}

TEST_F(Events, WhatNeverBeganWasNeverStarted) {
  const auto pod = RunNamed("pod");
  CreateNamed(pod, "idle");
  const auto broken = CreateNamed(pod, "broken");
  Subscription subscription(pods_->events());
  world_->on_step = [](const std::string& step) -> Status {
    if (step == "start-container") return Fail(ErrorCode::kInternal, "no such program");
    return {};
  };
  EXPECT_FALSE(Start(broken));
  world_->on_step = nullptr;
  EXPECT_EQ(Take(subscription), (Told{"broken STOPPED"}));
  ASSERT_OK(StopSandbox(pod));
  EXPECT_EQ(Take(subscription), (Told{"idle STOPPED", "pod STOPPED"}));
}

TEST_F(Events, APodThatIsRemovedAtOnceEndsInOrder) {
  const auto pod = RunNamed("pod");
  ASSERT_OK(Start(CreateNamed(pod, "main")));
  Subscription subscription(pods_->events());
  ASSERT_OK(RemoveSandbox(pod));
  EXPECT_EQ(Take(subscription),
            (Told{"main STOPPED", "pod STOPPED", "main DELETED", "pod DELETED"}));
}

TEST_F(Events, APodThatIsLostIsTold) {
  const auto pod = RunNamed("pod");
  ASSERT_OK(Start(CreateNamed(pod, "main")));
  Subscription subscription(pods_->events());
  world_->KillShim(pod);
  Settle();
  EXPECT_EQ(Take(subscription), (Told{"main STOPPED", "pod STOPPED"}));
}

TEST_F(Events, ARestartTellsNothingAgain) {
  const auto pod = RunNamed("pod");
  const auto stays = CreateNamed(pod, "stays"), ends = CreateNamed(pod, "ends");
  ASSERT_OK(Start(stays));
  ASSERT_OK(Start(ends));
  ASSERT_OK(Stop(ends, 0));
  StartDaemon();
  Subscription subscription(pods_->events());
  ASSERT_OK(Stop(stays, 0));
  ASSERT_OK(RemoveSandbox(pod));
  Told told = Take(subscription);
  ASSERT_EQ(told.size(), 5u);
  std::sort(told.begin() + 2, told.begin() + 4);  // which of two containers goes first is nobody's
  EXPECT_EQ(told,
            (Told{"stays STOPPED", "pod STOPPED", "ends DELETED", "stays DELETED", "pod DELETED"}));
}

TEST_F(Events, NobodyWaitsForASubscriberThatFallsBehind) {
  const auto pod = RunNamed("pod");
  Subscription slow(pods_->events());
  for (size_t i = 0; i <= ContainerEvents::kMostWaiting / 2; ++i)
    ASSERT_OK(Remove(*Create(pod, "main")));
  const auto late = slow.Next(milliseconds(0));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kResourceExhausted);
  Subscription another(pods_->events());
  CreateNamed(pod, "last");
  EXPECT_EQ(Take(another).size(), 1u);
  pods_->events().End();
  EXPECT_EQ(another.Next(milliseconds(60'000)).error().code, ErrorCode::kAborted);
}

TEST_F(Events, FewButLongOnesAreTooManyToo) {
  auto request = PodRequest("pod");
  (*request.mutable_config()->mutable_annotations())["long"] = std::string(1 << 20, 'x');
  const auto pod = RunPodSandbox(request, Call(), *pods_);
  ASSERT_OK(pod);
  Subscription slow(pods_->events()), quick(pods_->events());
  size_t told = 0;
  for (size_t made = 0; made < 2 * ContainerEvents::kMostWaitingBytes >> 20; made += 2) {
    ASSERT_OK(Remove(*Create(pod->pod_sandbox_id(), "main")));
    told += Take(quick).size();
  }
  EXPECT_EQ(told, 32u) << "who keeps up is told everything";
  const auto late = slow.Next(milliseconds(0));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kResourceExhausted);
}

TEST_F(Events, AStreamOfThemEndsWithItsCaller) {
  std::atomic<bool> gone = false, begun = false;
  std::atomic<int> told = 0;
  std::thread caller([&] {
    const CallContext call{.is_cancelled = [&] { return gone.load(); }};
    EXPECT_TRUE(GetContainerEvents(
        {}, call, *pods_,
        {[&] { begun = true; }, [&](const v1::ContainerEventResponse&) { return ++told > 0; }}));
  });
  while (!begun) std::this_thread::sleep_for(milliseconds(1));
  RunNamed("pod");
  while (told < 2) std::this_thread::sleep_for(milliseconds(1));
  gone = true;
  caller.join();
}

}  // namespace
}  // namespace catamaran

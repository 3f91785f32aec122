#include <fcntl.h>
#include <sys/file.h>

#include <atomic>

#include "cri/pods/testing/pods_test.h"

namespace catamaran {
namespace {

class Recovery : public PodsTest {
 protected:
  // As if the daemon were killed at the n-th step of what follows: that step and everything after
  // it, roll-backs too, has no effect. Returns false in `reached` where there are fewer steps.
  void DieAt(int n) {
    step_ = 0;
    died_ = false;
    world_->on_step = [this, n](const std::string&) -> Status {
      if (++step_ < n) return {};
      died_ = true;
      return Fail(ErrorCode::kUnavailable, "the daemon is dead");
    };
  }
  bool died() const { return died_; }
  void Revive() {
    world_->on_step = nullptr;
    StartDaemon();
  }

  std::atomic<int> step_ = 0;
  std::atomic<bool> died_ = false;
};

TEST_F(Recovery, RunningPodsGoOnAndWhatHappenedMeanwhileIsKnown) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto stays = Create(*pod, "stays");
  const auto ends = Create(*pod, "ends");
  ASSERT_OK(stays);
  ASSERT_OK(ends);
  ASSERT_OK(Start(*stays));
  ASSERT_OK(Start(*ends));
  const auto before = StatusOf(*stays);
  pods_.reset();
  world_->Exit(*pod, *ends, 42);
  StartDaemon();
  EXPECT_EQ(SandboxOf(*pod).status().state(), v1::SANDBOX_READY);
  EXPECT_EQ(StatusOf(*stays).SerializeAsString(), before.SerializeAsString());
  EXPECT_EQ(StatusOf(*ends).state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(StatusOf(*ends).exit_code(), 42);
  // And the new daemon hears of what comes.
  world_->Exit(*pod, *stays, 0);
  EXPECT_EQ(StatusOf(*stays).reason(), "Completed");
  // Names are still taken.
  EXPECT_EQ(*Run("web"), *pod);
}

TEST_F(Recovery, AHalfMadePodIsUndoneAtWhateverStepTheDaemonDied) {
  for (int n = 1;; ++n) {
    SCOPED_TRACE(n);
    DieAt(n);
    const auto pod = Run("web");
    if (!died()) break;
    EXPECT_FALSE(pod);
    Revive();
    ExpectNothingLeft();
    if (HasFailure()) return;
  }
  EXPECT_GE(step_, 3);
}

TEST_F(Recovery, AHalfMadeContainerIsUndoneAtWhateverStepTheDaemonDied) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  for (int n = 1;; ++n) {
    SCOPED_TRACE(n);
    DieAt(n);
    (void)Create(*pod, "main");
    if (!died()) break;
    Revive();
    EXPECT_EQ(ContainerIds(), std::vector<std::string>());
    EXPECT_TRUE(world_->Find(*pod)->containers.empty());
    EXPECT_TRUE(world_->leases.empty());
    EXPECT_EQ(*ListDirectory((folder_ / "root/pods" / *pod).value()), std::vector<std::string>());
    if (HasFailure()) return;
  }
  EXPECT_GE(step_, 3);
}

TEST_F(Recovery, StopAndRemoveConvergeAtWhateverStepTheDaemonDied) {
  for (const bool remove : {false, true}) {
    for (int n = 1;; ++n) {
      SCOPED_TRACE(testing::Message() << (remove ? "remove, step " : "stop, step ") << n);
      const auto pod = Run("web");
      ASSERT_OK(pod);
      const auto container = Create(*pod, "main");
      ASSERT_OK(container);
      ASSERT_OK(Start(*container));
      DieAt(n);
      (void)(remove ? RemoveSandbox(*pod) : StopSandbox(*pod));
      const bool done = !died();
      Revive();
      // A stop that had begun is finished, and so is a removal.
      EXPECT_EQ(SandboxIds().size(), remove ? 0u : 1u);
      EXPECT_TRUE(world_->shims.empty());
      EXPECT_TRUE(world_->attached.empty());
      ASSERT_OK(RemoveSandbox(*pod));
      ExpectNothingLeft();
      if (HasFailure()) return;
      if (done) break;
    }
  }
}

TEST_F(Recovery, RemovalOfAContainerConvergesAtWhateverStepTheDaemonDied) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  for (int n = 1;; ++n) {
    SCOPED_TRACE(n);
    const auto container = Create(*pod, "main");
    ASSERT_OK(container);
    ASSERT_OK(Start(*container));
    world_->Exit(*pod, *container, 0);
    DieAt(n);
    (void)Remove(*container);
    const bool done = !died();
    Revive();
    ASSERT_OK(Remove(*container));
    EXPECT_EQ(ContainerIds(), std::vector<std::string>());
    EXPECT_TRUE(world_->leases.empty());
    if (HasFailure() || done) return;
  }
}

TEST_F(Recovery, AShimThatDiesWhileTheDaemonRunsCostsItsOwnPodOnly) {
  const auto lost = Run("lost"), other = Run("other");
  ASSERT_OK(lost);
  ASSERT_OK(other);
  const auto container = Create(*lost, "main");
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  world_->KillShim(*lost);
  EXPECT_EQ(SandboxOf(*lost).status().state(), v1::SANDBOX_NOTREADY);
  Settle();
  EXPECT_EQ(StatusOf(*container).state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(StatusOf(*container).exit_code(), 255);
  EXPECT_EQ(StatusOf(*container).reason(), "Unknown");
  EXPECT_NE(SandboxOf(*lost, true).info().at("info").find("ShimGone"), std::string::npos);
  EXPECT_EQ(SandboxOf(*other).status().state(), v1::SANDBOX_READY);
  ASSERT_OK(RemoveSandbox(*lost));
  EXPECT_EQ(SandboxIds(), std::vector{*other});
}

TEST_F(Recovery, AShimThatDiedWithoutADaemonIsFoundOut) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  pods_.reset();
  world_->KillShim(*pod);
  StartDaemon();
  EXPECT_EQ(SandboxOf(*pod).status().state(), v1::SANDBOX_NOTREADY);
  EXPECT_EQ(StatusOf(*container).state(), v1::CONTAINER_EXITED);
  ASSERT_OK(RemoveSandbox(*pod));
  ExpectNothingLeft();
}

TEST_F(Recovery, AFrozenShimLeavesItsContainersUnknownUntilItAnswers) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  world_->Find(*pod)->frozen = true;
  StartDaemon();
  EXPECT_EQ(SandboxOf(*pod).status().state(), v1::SANDBOX_READY);
  EXPECT_EQ(StatusOf(*container).state(), v1::CONTAINER_UNKNOWN);
  world_->Find(*pod)->frozen = false;
  v1::ContainerStatsRequest request;
  request.set_container_id(*container);
  ASSERT_OK(ContainerStats(request, Call(), *pods_));
  EXPECT_EQ(StatusOf(*container).state(), v1::CONTAINER_RUNNING);
}

TEST_F(Recovery, AListShowsAFrozenPodAsItWasBefore) {
  const auto web = Run("web");
  ASSERT_OK(web);
  ASSERT_OK(Run("other"));
  v1::ListPodSandboxStatsRequest request;
  ASSERT_EQ(ListPodSandboxStats(request, Call(), *pods_)->stats_size(), 2);
  world_->Find(*web)->frozen = true;
  CallContext call = Call();
  call.deadline = Deadline::After(std::chrono::milliseconds(200));
  const auto listed = ListPodSandboxStats(request, call, *pods_);
  ASSERT_OK(listed);
  EXPECT_EQ(listed->stats_size(), 2);
}

TEST_F(Recovery, AListShowsNoFiguresOfAPodThatWasStopped) {
  const auto web = Run("web");
  ASSERT_OK(web);
  const auto container = Create(*web, "main");
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  ASSERT_EQ(ListPodSandboxStats({}, Call(), *pods_)->stats_size(), 1);
  ASSERT_OK(StopSandbox(*web));
  EXPECT_EQ(ListPodSandboxStats({}, Call(), *pods_)->stats_size(), 0);
  EXPECT_EQ(ListContainerStats({}, Call(), *pods_)->stats_size(), 0);
}

TEST_F(Recovery, ARecordOfAnotherBootIsListedButNothingOfItIsBelieved) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  pods_.reset();
  // A boot leaves the files and the recorded network, no process and no cgroup.
  world_->KillShim(*pod);
  world_->cgroups.clear();
  world_->on_step = [](const std::string& step) -> Status {
    EXPECT_NE(step, "reconnect");
    EXPECT_NE(step, "kill-cgroup");
    return {};
  };
  StartDaemon("another-boot");
  EXPECT_EQ(world_->Describe(), "");
  EXPECT_EQ(SandboxOf(*pod).status().state(), v1::SANDBOX_NOTREADY);
  EXPECT_EQ(StatusOf(*container).state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(StatusOf(*container).exit_code(), 255);
  ASSERT_OK(RemoveSandbox(*pod));
  ExpectNothingLeft();
}

TEST_F(Recovery, WhatNoRecordOwnsIsSwept) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const std::string stranger(64, 'b');
  const std::string damaged(64, 'c');
  world_->attached.insert(stranger);
  world_->leases[stranger];
  world_->cgroups.insert("/fake/" + stranger);
  world_->cgroups.insert("/fake/not-a-pod");
  ASSERT_OK(MakeDirectories((folder_ / "root/pods" / stranger / "x").value()));
  ASSERT_OK(MakeDirectories((folder_ / "run/pods" / stranger).value()));
  ASSERT_OK(MakeDirectories((folder_ / "run/pods" / damaged).value()));
  ASSERT_OK(ReplaceFile((folder_ / "run/pods" / damaged / "record").value(), "\xff\xff", 0600,
                        Durability::kProcessCrash));
  StartDaemon();
  EXPECT_EQ(world_->attached, std::set<std::string>{*pod});
  EXPECT_TRUE(world_->leases.empty());
  EXPECT_EQ(world_->cgroups, (std::set<std::string>{"/fake/" + *pod, "/fake/not-a-pod"}));
  EXPECT_EQ(Files(), (std::vector<std::string>{"root/pods/" + *pod, "run/pods/" + *pod}));
  // What never had a record was a machine that waited for its pod; each is told with its id.
  const std::string counted = pods_->meters().Text({});
  for (const char* kind : {"machine", "folder"})
    EXPECT_NE(counted.find(fmt::format(
                  "catamaran_leaks_found_total{{kind=\"{}\",swept=\"true\"}} 1\n", kind)),
              std::string::npos)
        << counted;
  {
    std::lock_guard lock(notices_mutex_);
    EXPECT_NE(notices_.find(stranger + "  swept its machine, which no record owns"),
              std::string::npos)
        << notices_;
    EXPECT_NE(notices_.find(damaged + "  swept its folder, which no record owns"),
              std::string::npos)
        << notices_;
  }
  world_->cgroups.erase("/fake/not-a-pod");
  ASSERT_OK(RemoveSandbox(*pod));
  ExpectNothingLeft();
}

TEST_F(Recovery, AContainerThatOnlyTheShimKnowsIsRemoved) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  world_->Find(*pod)->containers["stranger"].set_container_id("stranger");
  StartDaemon();
  EXPECT_TRUE(world_->Find(*pod)->containers.empty());
}

}  // namespace
}  // namespace catamaran

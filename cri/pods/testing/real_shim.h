#pragma once

#include <signal.h>
#include <unistd.h>

#include "cri/pods/testing/pods_test.h"
#include "shim/client/shim_lock.h"

namespace catamaran {

// Has shims run the fake backend, in no cgroup.
class FakeBackendShims final : public ShimManager {
 public:
  explicit FakeBackendShims(std::unique_ptr<ShimManager> real) : real_(std::move(real)) {}
  Result<std::shared_ptr<ShimClient>> Spawn(const PodId& pod, const ShimPaths& paths, Backend,
                                            const std::string&, ShimClient::Events events,
                                            Deadline deadline) override {
    return real_->Spawn(pod, paths, Backend::kFake, "", std::move(events), deadline);
  }
  Result<std::shared_ptr<ShimClient>> Reconnect(const PodId& pod, const ShimPaths& paths,
                                                ShimClient::Events events,
                                                Deadline deadline) override {
    return real_->Reconnect(pod, paths, std::move(events), deadline);
  }
  Status KeepTemplates(const ShimPaths& paths, const HostPath& root) override {
    return real_->KeepTemplates(paths, root);
  }

 private:
  std::unique_ptr<ShimManager> real_;
};

// What a pod's cgroup does, for shims that are in none: kills the process behind the lock.
class LockCgroups final : public PodCgroups {
 public:
  explicit LockCgroups(HostPath run) : run_(std::move(run)) {}
  Status Make(const std::string&) override { return {}; }
  Status Move(const std::string&, const std::string&, Deadline) override { return {}; }
  Status Kill(const std::string& path, Deadline deadline) override {
    const ShimPaths paths{run_ / "pods" / path.substr(path.rfind('/') + 1)};
    const auto state = LookAtLock(paths);
    if (state && state->holder == ShimLockState::Holder::kShim) kill(state->shim, SIGKILL);
    while (!ShimManager::IsGone(paths)) {
      if (deadline.expired()) return Fail(ErrorCode::kDeadlineExceeded, "it lives");
      usleep(1000);
    }
    return {};
  }
  Status Remove(const std::string&, Deadline) override { return {}; }
  Result<std::vector<Found>> FindPods(const std::function<bool(const std::string&)>&,
                                      Deadline) override {
    return std::vector<Found>();
  }

 private:
  HostPath run_;
};

// A daemon's pods upon real shim processes (CATAMARAN_SHIM).
class RealShim : public PodsTest {
 protected:
  void TearDown() override {
    for (const auto& pod : SandboxIds()) EXPECT_TRUE(RemoveSandbox(pod));
    PodsTest::TearDown();
  }
  std::unique_ptr<ShimManager> NewShimManager() override {
    auto shims = ShimManager::Create({CATAMARAN_SHIM});
    EXPECT_TRUE(shims) << shims.error().message;
    return std::make_unique<FakeBackendShims>(std::move(*shims));
  }
  PodCgroups& cgroups() override {
    if (!cgroups_) cgroups_ = std::make_unique<LockCgroups>(folder_ / "run");
    return *cgroups_;
  }
  ShimPaths PathsOf(const std::string& pod) { return {folder_ / "run/pods" / pod}; }
  pid_t ShimOf(const std::string& pod) {
    const auto state = LookAtLock(PathsOf(pod));
    return state && state->holder == ShimLockState::Holder::kShim ? state->shim : 0;
  }
  // Exits and losses are reported by another thread.
  template <typename Condition>
  bool Await(Condition condition) {
    for (int i = 0; i < 30'000; ++i) {
      if (condition()) return true;
      usleep(1000);
    }
    return false;
  }
  bool AwaitExit(const std::string& container) {
    return Await([&] { return StatusOf(container).state() == v1::CONTAINER_EXITED; });
  }
  std::unique_ptr<PodCgroups> cgroups_;
};

}  // namespace catamaran

// UpdatePodSandboxResources: what it asks the shim, what it keeps, what it refuses.
#include <nlohmann/json.hpp>

#include "cri/pods/testing/pods_test.h"

namespace catamaran {
namespace {

class PodResize : public PodsTest {
 protected:
  static v1::UpdatePodSandboxResourcesRequest Resize(const std::string& pod) {
    v1::UpdatePodSandboxResourcesRequest request;
    request.set_pod_sandbox_id(pod);
    request.mutable_resources()->set_cpu_shares(512);
    request.mutable_resources()->set_cpu_quota(50'000);
    request.mutable_resources()->set_cpu_period(100'000);
    request.mutable_resources()->set_memory_limit_in_bytes(64 << 20);
    request.mutable_overhead()->set_memory_limit_in_bytes(16 << 20);
    return request;
  }
  nlohmann::json InfoOf(const std::string& pod) {
    const auto status = SandboxOf(pod, true);
    return nlohmann::json::parse(status.info().at("info"));
  }
};

TEST_F(PodResize, ReachesTheShimAndIsShownAlsoByTheNextDaemon) {
  const std::string pod = *Run("a");
  ASSERT_OK(UpdatePodSandboxResources(Resize(pod), Call(), *pods_));
  const auto updates = world_->Find(pod)->updates;
  ASSERT_EQ(updates.size(), 1u);
  EXPECT_EQ(updates[0].container_id(), "");
  EXPECT_EQ(updates[0].resources().cpu_shares(), 512u);
  EXPECT_EQ(updates[0].resources().cpu_quota_us(), 50'000);
  EXPECT_EQ(updates[0].resources().memory_limit_bytes(), 64 << 20);
  EXPECT_EQ(updates[0].resources().memory_swap_limit_bytes(), 0) << "swap is the containers' own";
  EXPECT_EQ(updates[0].overhead().memory_limit_bytes(), 16 << 20);
  StartDaemon();
  const auto info = InfoOf(pod);
  EXPECT_EQ(info["resources"]["memory_limit_in_bytes"], std::to_string(64 << 20));
  EXPECT_EQ(info["overhead"]["memory_limit_in_bytes"], std::to_string(16 << 20));

  // Partial: what an update does not name stays.
  v1::UpdatePodSandboxResourcesRequest more;
  more.set_pod_sandbox_id(pod);
  more.mutable_resources()->set_memory_limit_in_bytes(96 << 20);
  ASSERT_OK(UpdatePodSandboxResources(more, Call(), *pods_));
  EXPECT_EQ(InfoOf(pod)["resources"]["memory_limit_in_bytes"], std::to_string(96 << 20));
  EXPECT_EQ(InfoOf(pod)["resources"]["cpu_shares"], "512");
}

// As the kubelet says it of a pod with an overhead and without limits: cgroup v1, then v2.
TEST_F(PodResize, OfAPodWithoutAMemoryLimitLeavesItWithoutOne) {
  const std::string pod = *Run("a");
  constexpr int64_t kOverhead = 128 << 20;
  for (const int64_t unlimited : {int64_t{0x7ffffffffffff000}, int64_t{-1}}) {
    for (const int64_t less : {int64_t{0}, kOverhead}) {
      auto request = Resize(pod);
      request.mutable_resources()->set_memory_limit_in_bytes(unlimited - less);
      request.mutable_resources()->set_cpu_quota(-1 - less / kOverhead);
      ASSERT_OK(UpdatePodSandboxResources(request, Call(), *pods_));
      const auto update = world_->Find(pod)->updates.back();
      EXPECT_EQ(update.resources().memory_limit_bytes(), 0) << unlimited - less;
      EXPECT_EQ(update.resources().cpu_quota_us(), -1);
      EXPECT_FALSE(InfoOf(pod)["resources"].contains("memory_limit_in_bytes"));
    }
  }
}

TEST_F(PodResize, BeginsWithWhatThePodWasMadeWith) {
  auto request = PodRequest("a");
  request.mutable_config()->mutable_linux()->mutable_resources()->set_cpu_shares(100);
  const auto pod = RunPodSandbox(request, Call(), *pods_);
  ASSERT_OK(pod);
  EXPECT_EQ(InfoOf(pod->pod_sandbox_id())["resources"]["cpu_shares"], "100");
}

TEST_F(PodResize, ThatFailsIsNotShown) {
  const std::string pod = *Run("a");
  world_->on_step = [](const std::string& step) -> Status {
    if (step == "update-resources") return Fail(ErrorCode::kFailedPrecondition, "in use");
    return {};
  };
  const auto refused = UpdatePodSandboxResources(Resize(pod), Call(), *pods_);
  world_->on_step = nullptr;
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(InfoOf(pod)["resources"].contains("memory_limit_in_bytes"));
}

TEST_F(PodResize, OfWhatCannotBeIsRefusedByName) {
  const std::string pod = *Run("a");
  auto request = Resize(pod);
  request.mutable_resources()->set_cpu_quota(5);
  auto refused = UpdatePodSandboxResources(request, Call(), *pods_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("resources.cpu_quota"), std::string::npos)
      << refused.error().message;
  request = Resize(pod);
  request.mutable_overhead()->set_memory_limit_in_bytes(5);
  refused = UpdatePodSandboxResources(request, Call(), *pods_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("overhead.memory_limit_in_bytes"), std::string::npos)
      << refused.error().message;
  EXPECT_TRUE(world_->Find(pod)->updates.empty());
}

TEST_F(PodResize, OfAPodThatIsNotThereOrStopped) {
  const auto unknown = UpdatePodSandboxResources(Resize(std::string(64, '0')), Call(), *pods_);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  const std::string pod = *Run("a");
  ASSERT_OK(StopSandbox(pod));
  const auto stopped = UpdatePodSandboxResources(Resize(pod), Call(), *pods_);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::kFailedPrecondition);
}

}  // namespace
}  // namespace catamaran

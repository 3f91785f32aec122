// UpdatePodSandboxResources: limits of a pod as a whole, changed while it runs.
#include <nlohmann/json.hpp>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kGiB = 1 << 30;

class PodResizeTest : public PodTest {
 protected:
  Reply<v1::UpdatePodSandboxResourcesResponse> Limit(const std::string& pod, int64_t memory,
                                                     int64_t overhead = 0) {
    v1::UpdatePodSandboxResourcesRequest request;
    request.set_pod_sandbox_id(pod);
    request.mutable_resources()->set_memory_limit_in_bytes(memory);
    request.mutable_overhead()->set_memory_limit_in_bytes(overhead);
    return cri().UpdatePodSandboxResources(request);
  }
  nlohmann::json InfoOf(const std::string& pod) {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(pod);
    request.set_verbose(true);
    auto reply = cri().PodSandboxStatus(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    return nlohmann::json::parse(reply->info().at("info"));
  }
  // A file of the pod's own group on the host, by its name in the version that has the controller.
  std::string HostFile(const std::string& pod, const std::string& v1, const std::string& v2) {
    const std::string group = InfoOf(pod)["cgroup"];
    const std::string file = "/sys/fs/cgroup/memory" + group + "/" + v1;
    return Exists(file) ? file : "/sys/fs/cgroup" + group + "/" + v2;
  }
  std::string HostLimitFile(const std::string& pod) {
    return HostFile(pod, "memory.limit_in_bytes", "memory.max");
  }
  std::string HostLimit(const std::string& pod) {
    auto text = ReadFile(HostLimitFile(pod));
    return text ? text->substr(0, text->find('\n')) : text.error().message;
  }
};

// Larger than what a machine and its helpers use.
constexpr int64_t kOverhead = 512 * kMiB;

TEST_P(PodResizeTest, AppliesToAllOfThePodTogetherAndIsShown) {
  const std::string pod = RunPod();
  const std::string neighbour = StartSleeper(pod, "neighbour");
  auto reply = Limit(pod, 48 * kMiB, kOverhead);
  ASSERT_TRUE(reply.ok()) << reply.message();
  EXPECT_EQ(HostLimit(pod), std::to_string(48 * kMiB + kOverhead));
  EXPECT_EQ(InfoOf(pod)["resources"]["memory_limit_in_bytes"], std::to_string(48 * kMiB));
  EXPECT_EQ(InfoOf(pod)["overhead"]["memory_limit_in_bytes"], std::to_string(kOverhead));
  EXPECT_EQ(StatusOf(neighbour).state(), v1::CONTAINER_RUNNING);
}

TEST_P(PodResizeTest, AHogWithoutALimitOfItsOwnStopsAtThePods) {
  const std::string pod = RunPod();
  // The guest's group is the containers' alone; on the host there is but one, with the shim in it.
  auto reply = on_vm() ? Limit(pod, 64 * kMiB, kOverhead) : Limit(pod, 64 * kMiB);
  ASSERT_TRUE(reply.ok()) << reply.message();
  const Ended ended = RunToEnd(pod, ContainerConfig("hog", {"/bin/tail", "/dev/zero"}));
  EXPECT_EQ(ended.exit_code, 137);
  EXPECT_EQ(ended.reason, "OOMKilled");
  EXPECT_EQ(InfoOf(pod)["state"], "ready");
}

TEST_P(PodResizeTest, BelowWhatIsUsedIsRefusedAndHarmsNothing) {
  const std::string pod = RunPod();
  const std::string id = CreateAndStart(
      pod, ContainerConfig("holder", {"/bin/probe", "hold", "0", "0", "0", "0", "64"}));
  ASSERT_TRUE(WaitUntil([&] { return TextOf(Log(id), "stdout") == "holding\n"; }));
  const std::string before = HostLimit(pod);
  auto reply = Limit(pod, 32 * kMiB);
  EXPECT_EQ(reply.code(), ErrorCode::kFailedPrecondition) << reply.message();
  EXPECT_NE(reply.message().find("memory limit"), std::string::npos) << reply.message();
  EXPECT_EQ(HostLimit(pod), before);
  EXPECT_EQ(StatusOf(id).state(), v1::CONTAINER_RUNNING);
  EXPECT_FALSE(InfoOf(pod)["resources"].contains("memory_limit_in_bytes"));
}

TEST_P(PodResizeTest, AMachineDoesNotGrowAndSaysSo) {
  if (!on_vm()) GTEST_SKIP() << "there is no machine";
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  auto reply = Limit(pod, 64 * kGiB, kOverhead);
  EXPECT_EQ(reply.code(), ErrorCode::kFailedPrecondition) << reply.message();
  EXPECT_NE(reply.message().find("virtual machine"), std::string::npos) << reply.message();
  v1::UpdateContainerResourcesRequest update;
  update.set_container_id(id);
  update.mutable_linux()->set_memory_limit_in_bytes(64 * kGiB);
  auto container = cri().UpdateContainerResources(update);
  EXPECT_EQ(container.code(), ErrorCode::kFailedPrecondition) << container.message();
  EXPECT_NE(container.message().find("virtual machine"), std::string::npos) << container.message();
}

TEST_P(PodResizeTest, AMachineThatTheHostsOomKillerEndsIsCalledOomKilled) {
  if (!on_vm()) GTEST_SKIP() << "there is no machine";
  const std::string pod = RunPod();
  const std::string neighbour = StartSleeper(pod, "neighbour");
  const std::string hog = CreateAndStart(
      pod, ShellConfig("hog", "until [ -e /go ]; do sleep 0.1; done; exec tail /dev/zero"));
  const auto usage = ReadFile(HostFile(pod, "memory.usage_in_bytes", "memory.current"));
  ASSERT_TRUE(usage) << usage.error().message;
  ASSERT_TRUE(WriteExisting(HostLimitFile(pod), std::to_string(std::stoll(*usage) + 4 * kMiB)));
  // It takes what the guest has and the host has not. The exec may be too much already.
  (void)Exec(hog, {"/bin/touch", "/go"});
  for (const std::string& container : {hog, neighbour}) {
    ASSERT_TRUE(WaitUntil([&] { return StatusOf(container).state() == v1::CONTAINER_EXITED; }));
    const auto status = StatusOf(container);
    EXPECT_EQ(status.exit_code(), 137);
    EXPECT_EQ(status.reason(), "OOMKilled");
    EXPECT_NE(status.message().find("the host's OOM killer"), std::string::npos)
        << status.message();
  }
}

CATAMARAN_ON_EVERY_HANDLER(PodResizeTest);

}  // namespace
}  // namespace catamaran::e2e

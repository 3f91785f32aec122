// What lives on when a daemon, a shim or a hypervisor is killed.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "e2e/harness/pod_test.h"
#include "e2e/harness/processes.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr char kHypervisor[] = "qemu-system-x86";  // as the kernel cuts its name

class Survival : public PodTest {
 protected:
  v1::PodSandboxStatus PodStatus(const std::string& pod) {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(pod);
    auto reply = cri().PodSandboxStatus(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    return reply->status();
  }
  nlohmann::json PodInfo(const std::string& pod) {
    const auto facts = ReadMachineFacts(cri(), pod);
    EXPECT_TRUE(facts) << facts.error().message;
    return facts ? nlohmann::json::parse(facts->text) : nlohmann::json::object();
  }
  void RestartDaemon() {
    auto started = world().RestartDaemon();
    ASSERT_TRUE(started) << started.error().message;
  }
};

TEST_P(Survival, RunningPodsSurviveTheDaemonsDeath) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  const std::string ip = IpOf(pod);
  Output(id, "echo before > /file");
  world().daemon().Kill();
  RestartDaemon();
  // On a busy machine the shim may answer a moment later; until then nothing is claimed of it.
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_RUNNING));
  EXPECT_EQ(PodStatus(pod).state(), v1::SANDBOX_READY);
  EXPECT_EQ(IpOf(pod), ip);
  EXPECT_EQ(Output(id, "cat /file"), "before\n");
  EXPECT_EQ(RunToEnd(pod, ShellConfig("another", "exit 9")).exit_code, 9);
}

TEST_P(Survival, SigtermLeavesPodsRunning) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  EXPECT_EQ(world().daemon().Terminate(), 0);
  RestartDaemon();
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_RUNNING));
}

TEST_P(Survival, ExitsWithoutADaemonAreReportedWithTheirCodes) {
  const std::string pod = RunPod();
  const std::string folder = world().NewFolder("signal");
  auto config = ShellConfig("main", "while [ ! -e /v/go ]; do sleep 0.1; done; echo last; exit 33");
  auto* mount = config.add_mounts();
  mount->set_host_path(folder);
  mount->set_container_path("/v");
  const std::string id = CreateAndStart(pod, config);
  const std::string log = LogPath(id);
  world().daemon().Kill();
  std::ofstream(folder + "/go") << "x";
  EXPECT_TRUE(WaitUntil([&] {
    auto content = ReadFile(log);
    return content && content->find("last") != std::string::npos;
  }));
  RestartDaemon();
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  EXPECT_EQ(StatusOf(id).exit_code(), 33);
  EXPECT_EQ(StatusOf(id).reason(), "Error");
  EXPECT_GT(StatusOf(id).finished_at(), StatusOf(id).started_at());
}

TEST_P(Survival, AKilledShimMakesItsPodNotReadyWithAReasonAndNoOther) {
  const std::string pod = RunPod(), other = RunPod();
  const std::string id = StartSleeper(pod), neighbour = StartSleeper(other);
  const pid_t shim = FindProcess({"catamaran-shim", pod});
  ASSERT_GT(shim, 0) << "no process names the pod";
  ASSERT_EQ(kill(shim, SIGKILL), 0);
  ASSERT_TRUE(WaitUntil([&] { return PodStatus(pod).state() == v1::SANDBOX_NOTREADY; }));
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  EXPECT_NE(StatusOf(id).exit_code(), 0);
  const auto info = PodInfo(pod);
  EXPECT_NE(info.value("reason", ""), "") << info;
  EXPECT_EQ(PodStatus(other).state(), v1::SANDBOX_READY);
  EXPECT_EQ(Output(neighbour, "echo well"), "well\n");
}

TEST_P(Survival, AShimKilledWhileNoDaemonRunsIsFoundOut) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  const pid_t shim = FindProcess({"catamaran-shim", pod});
  ASSERT_GT(shim, 0);
  world().daemon().Kill();
  ASSERT_EQ(kill(shim, SIGKILL), 0);
  RestartDaemon();
  ASSERT_TRUE(WaitUntil([&] { return PodStatus(pod).state() == v1::SANDBOX_NOTREADY; }));
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
}

TEST_P(Survival, AKilledHypervisorMakesItsPodNotReadyWithAReasonAndNoOther) {
  if (!on_vm()) GTEST_SKIP() << "only the vm hull has one";
  const std::string pod = RunPod(), other = RunPod();
  const std::string id = StartSleeper(pod), neighbour = StartSleeper(other);
  const std::string boot_id = Output(neighbour, "cat /proc/sys/kernel/random/boot_id");
  const pid_t qemu = FindPodProcess(pod, kHypervisor), others = FindPodProcess(other, kHypervisor);
  ASSERT_GT(qemu, 0);
  ASSERT_GT(others, 0);
  ASSERT_NE(qemu, others);
  ASSERT_EQ(kill(qemu, SIGKILL), 0);
  ASSERT_TRUE(WaitUntil([&] { return PodStatus(pod).state() == v1::SANDBOX_NOTREADY; }));
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  EXPECT_EQ(StatusOf(id).exit_code(), 137);
  const auto info = PodInfo(pod);
  EXPECT_NE(info.value("reason", ""), "") << info;
  EXPECT_NE(info.value("message", ""), "") << info;
  // The neighbour did not notice: the same machine, in which the same container runs.
  EXPECT_EQ(FindPodProcess(other, kHypervisor), others);
  EXPECT_EQ(PodStatus(other).state(), v1::SANDBOX_READY);
  EXPECT_EQ(StatusOf(neighbour).state(), v1::CONTAINER_RUNNING);
  EXPECT_EQ(Output(neighbour, "cat /proc/sys/kernel/random/boot_id"), boot_id);
}

TEST_P(Survival, AStoppedShimDoesNotHoldUpOtherPodsNorItsOwnEnd) {
  const std::string pod = RunPod(), other = RunPod();
  StartSleeper(pod);
  const std::string neighbour = StartSleeper(other);
  const pid_t shim = FindProcess({"catamaran-shim", pod});
  ASSERT_GT(shim, 0);
  ASSERT_EQ(kill(shim, SIGSTOP), 0);
  EXPECT_EQ(Output(neighbour, "echo well"), "well\n");
  StopAndRemovePod(pod);
}

CATAMARAN_ON_EVERY_HANDLER(Survival);

}  // namespace
}  // namespace catamaran::e2e

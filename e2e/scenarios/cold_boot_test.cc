// The lane of cold boots: the same hull where machines boot, because a handler says `template: off`
// or because there is nobody to give a template. What clones show everywhere else holds here too.
#include <signal.h>

#include <fstream>

#include "e2e/harness/pod_test.h"
#include "e2e/harness/processes.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class ColdBoot : public PodTest {};

TEST_P(ColdBoot, AHandlerWithoutTemplatesBootsEveryMachine) {
  const std::string first = RunPod(), second = RunPod();
  const MachineFacts one = CheckMachine(first), other = CheckMachine(second);
  EXPECT_EQ(one.start, "booted") << one.text;
  EXPECT_EQ(other.start, "booted") << other.text;
  EXPECT_NE(one.why_not_restored, "") << one.text;
  EXPECT_NE(one.boot_id, other.boot_id);
}

TEST_P(ColdBoot, ABootedMachineRunsContainersLikeAClone) {
  const std::string pod = RunPod();
  const std::string folder = world().NewFolder("volume");
  std::ofstream(folder + "/in") << "from the host\n";
  auto config = ShellConfig("main", "cat /v/in; echo from the guest > /v/out; uname -r; exit 7");
  auto* mount = config.add_mounts();
  mount->set_host_path(folder);
  mount->set_container_path("/v");
  const Ended ended = RunToEnd(pod, config);
  EXPECT_EQ(ended.exit_code, 7) << ended.err;
  EXPECT_EQ(ended.out, "from the host\n" + CheckMachine(pod).kernel_release + "\n");
  EXPECT_EQ(*ReadFile(folder + "/out"), "from the guest\n");
  auto hog = ContainerConfig("hog", {"/bin/tail", "/dev/zero"});
  hog.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(32 << 20);
  const Ended killed = RunToEnd(pod, hog);
  EXPECT_EQ(killed.exit_code, 137);
  EXPECT_EQ(killed.reason, "OOMKilled");
  const std::string id = StartSleeper(pod);
  EXPECT_EQ(Output(id,
                   "ping -c 1 -W 10 $(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p') "
                   ">/dev/null && echo reached"),
            "reached\n");
}

TEST_P(ColdBoot, AMachineHasAsManyCpusAsItsPodsLimit) {
  auto config = PodConfig();
  auto* two_cpus = config.mutable_linux()->mutable_resources();
  two_cpus->set_cpu_period(100'000);
  two_cpus->set_cpu_quota(200'000);
  EXPECT_EQ(RunToEnd(RunPod(config), ShellConfig("main", "nproc")).out, "2\n");
}

TEST_P(ColdBoot, ABootedMachineSurvivesTheDaemonsDeath) {
  const std::string id = StartSleeper(RunPod());
  const std::string boot_id = Output(id, "cat /proc/sys/kernel/random/boot_id");
  world().daemon().Kill();
  auto started = world().RestartDaemon();
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_RUNNING));
  EXPECT_EQ(Output(id, "cat /proc/sys/kernel/random/boot_id"), boot_id);
}

INSTANTIATE_TEST_SUITE_P(On, ColdBoot, ::testing::Values(kVmCold),
                         [](const auto&) { return "vm_cold"; });

// On the handler with templates, whose keeper is killed under it.
class WithoutKeeper : public PodTest {};

TEST_P(WithoutKeeper, APodBootsAndTheNextOnesAreClonesAgain) {
  const pid_t keeper = world().TemplateKeeper();
  ASSERT_GT(keeper, 0);
  ASSERT_EQ(kill(keeper, SIGSTOP), 0);
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = PodConfig();
  request.set_runtime_handler(GetParam());
  auto reply = cri().RunPodSandbox(request, std::chrono::seconds(240));
  ASSERT_EQ(kill(keeper, SIGKILL), 0);
  ASSERT_TRUE(reply.ok()) << reply.message();
  const std::string pod = reply->pod_sandbox_id();
  auto facts = ReadMachineFacts(cri(), pod);
  ASSERT_TRUE(facts) << facts.error().message;
  world().machines().Add("the keeper is stopped", pod, *facts, MachineCount::Boot::kAskedFor);
  EXPECT_EQ(facts->start, "booted") << facts->text;
  EXPECT_NE(facts->why_not_restored, "") << facts->text;
  StopAndRemovePod(pod);
  // Another one is started with the next pod and has the template from the disk.
  const std::string next = RunPod();
  EXPECT_EQ(CheckMachine(next).start, "restored");
  EXPECT_NE(world().TemplateKeeper(), keeper);
}

INSTANTIATE_TEST_SUITE_P(On, WithoutKeeper, ::testing::Values(kVm),
                         [](const auto&) { return "vm_cold"; });

}  // namespace
}  // namespace catamaran::e2e

// Plugins of the Node Resource Interface see and change pods on both hulls.
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <thread>

#include "e2e/harness/processes.h"
#include "e2e/scenarios/nri_fixture.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

using Methods = std::vector<std::string>;

class Nri : public NriScenario {};

TEST_P(Nri, APluginIsToldOfAWholeLifeInOrder) {
  TestPlugin& plugin = Connect();
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  v1::UpdateContainerResourcesRequest update;
  update.set_container_id(id);
  update.mutable_linux()->set_cpu_shares(512);
  ASSERT_TRUE(cri().UpdateContainerResources(update).ok());
  v1::StopContainerRequest stop;
  stop.set_container_id(id);
  ASSERT_TRUE(cri().StopContainer(stop).ok());
  v1::RemoveContainerRequest remove;
  remove.set_container_id(id);
  ASSERT_TRUE(cri().RemoveContainer(remove).ok());
  const std::string ip = IpOf(pod);
  StopAndRemovePod(pod);
  EXPECT_EQ(
      plugin.MethodsOf(id),
      (Methods{"CreateContainer", "PostCreateContainer", "StartContainer", "PostStartContainer",
               "UpdateContainer", "PostUpdateContainer", "StopContainer", "RemoveContainer"}));
  EXPECT_EQ(plugin.MethodsOf(pod),
            (Methods{"RunPodSandbox", "StopPodSandbox", "RemovePodSandbox"}));
  const auto events = plugin.events();
  const nri::PodSandbox& told = events.front().request.pod();
  EXPECT_EQ(told.ips(0), ip);
  EXPECT_EQ(told.runtime_handler(), GetParam());
  // Network drivers find the pod's network by this.
  std::string network;
  for (const auto& entry : told.linux().namespaces())
    if (entry.type() == "network") network = entry.path();
  EXPECT_NE(network, "");
}

TEST_P(Nri, AnAdjustmentIsVisibleInTheContainer) {
  const std::string folder = world().NewFolder("added");
  std::ofstream(folder + "/file") << "from the plugin\n";
  nri::ContainerAdjustment adjustment;
  auto* variable = adjustment.add_env();
  variable->set_key("ADDED");
  variable->set_value("by a plugin");
  adjustment.add_env()->set_key("-HOSTNAME");
  auto* mount = adjustment.add_mounts();
  mount->set_destination("/added");
  mount->set_type("bind");
  mount->set_source(folder);
  mount->add_options("ro");
  auto* memory = adjustment.add_mounts();
  memory->set_destination("/memory");
  memory->set_type("tmpfs");
  auto* limit = adjustment.add_rlimits();
  limit->set_type("RLIMIT_CORE");
  limit->set_soft(0);
  limit->set_hard(0);
  Adjusting(adjustment);
  const Ended ended = RunToEnd(
      RunPod(), ShellConfig("main",
                            "echo \"$ADDED\"; printenv HOSTNAME || echo none; cat /added/file; "
                            "touch /added/x || echo read-only; grep -c ' /memory tmpfs ' "
                            "/proc/mounts; ulimit -c"));
  EXPECT_EQ(ended.out, "by a plugin\nnone\nfrom the plugin\nread-only\n1\n0\n") << ended.err;
}

TEST_P(Nri, AnAdjustedLimitLimits) {
  nri::ContainerAdjustment adjustment;
  adjustment.mutable_linux()->mutable_resources()->mutable_memory()->mutable_limit()->set_value(
      32 << 20);
  Adjusting(adjustment);
  const Ended ended = RunToEnd(RunPod(), ContainerConfig("hog", {"/bin/tail", "/dev/zero"}));
  EXPECT_EQ(ended.exit_code, 137);
  EXPECT_EQ(ended.reason, "OOMKilled");
}

TEST_P(Nri, ASeccompPolicyOfAPluginConfines) {
  nri::ContainerAdjustment adjustment;
  auto* policy = adjustment.mutable_linux()->mutable_seccomp_policy();
  policy->set_default_action("SCMP_ACT_ALLOW");
  auto* rule = policy->add_syscalls();
  rule->add_names("mkdir");
  rule->add_names("mkdirat");
  rule->set_action("SCMP_ACT_ERRNO");
  rule->mutable_errno_ret()->set_value(28);  // ENOSPC
  Adjusting(adjustment);
  const Ended ended = RunToEnd(RunPod(), ShellConfig("main", "mkdir /x"));
  EXPECT_NE(ended.exit_code, 0);
  EXPECT_NE(ended.err.find("No space left"), std::string::npos) << ended.err;
}

TEST_P(Nri, PrioritiesOfAPluginAreTheContainersAndWhatRunsInIt) {
  nri::ContainerAdjustment adjustment;
  auto* io = adjustment.mutable_linux()->mutable_io_priority();
  io->set_class_(nri::IO_PRIORITY_BE);
  io->set_priority(6);
  auto* scheduler = adjustment.mutable_linux()->mutable_scheduler();
  scheduler->set_policy(nri::SCHEDULE_BATCH);
  scheduler->set_nice(11);
  Adjusting(adjustment);
  const std::string pod = RunPod();
  // The fields are proc_pid_stat(5)'s nice and policy.
  const std::string look = "ionice -p 1; cut -d ' ' -f 19,41 /proc/1/stat";
  const std::string self = "ionice -p $$; cut -d ' ' -f 19,41 /proc/$$/stat";
  EXPECT_EQ(RunToEnd(pod, ShellConfig("main", look)).out, "best-effort: prio 6\n11 3\n");
  EXPECT_EQ(Output(StartSleeper(pod), self), "best-effort: prio 6\n11 3\n");
}

TEST_P(Nri, APriorityThatNoKernelKnowsIsRefusedByName) {
  nri::ContainerAdjustment adjustment;
  auto* io = adjustment.mutable_linux()->mutable_io_priority();
  io->set_class_(nri::IO_PRIORITY_RT);
  io->set_priority(8);
  Adjusting(adjustment);
  const auto reply = TryCreate(RunPod(), ShellConfig("main", "true"));
  EXPECT_EQ(reply.code(), ErrorCode::kInvalidArgument) << reply.message();
  EXPECT_NE(reply.message().find("linux.io_priority.priority: 8"), std::string::npos)
      << reply.message();
}

TEST_P(Nri, WhatTheEngineCannotDoIsRefusedByName) {
  nri::ContainerAdjustment adjustment;
  adjustment.mutable_linux()->set_cgroups_path("/elsewhere");
  Adjusting(adjustment);
  const std::string pod = RunPod();
  const auto reply = TryCreate(pod, ShellConfig("main", "true"));
  EXPECT_EQ(reply.code(), ErrorCode::kUnimplemented) << reply.message();
  EXPECT_NE(reply.message().find("linux.cgroups_path"), std::string::npos) << reply.message();
}

TEST_P(Nri, RefusalsLeaveNothingAndNamesAreFree) {
  const auto refuse = std::make_shared<std::atomic<bool>>(true);
  Connect(
      {.answer = [refuse](const std::string& method, const std::string&) -> Result<std::string> {
        if (*refuse && (method == "RunPodSandbox" || method == "CreateContainer"))
          return Fail(ErrorCode::kUnknown, "not today");
        return std::string();
      }});
  const auto config = PodConfig();
  const auto refused = TryRun(config);
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("not today"), std::string::npos) << refused.message();
  *refuse = false;
  const std::string pod = RunPod(config);
  *refuse = true;
  EXPECT_FALSE(TryCreate(pod, ShellConfig("main", "exit 7")).ok());
  *refuse = false;
  EXPECT_EQ(RunToEnd(pod, ShellConfig("main", "exit 7")).exit_code, 7);
}

TEST_P(Nri, OneThatHangsOrDiesIsDroppedAndPodsGoOn) {
  // The plugin's thread outlives this scope.
  const auto go = std::make_shared<std::atomic<bool>>(false);
  const Cleanup release([&] { *go = true; });
  TestPlugin& hangs = Connect(
      {.index = "00",
       .answer = [go](const std::string& method, const std::string&) -> Result<std::string> {
         while (method == "RunPodSandbox" && !*go)
           std::this_thread::sleep_for(std::chrono::milliseconds(5));
         return std::string();
       }});
  TestPlugin* dying = nullptr;
  TestPlugin& dies =
      Connect({.index = "01",
               .answer = [&](const std::string& method, const std::string&) -> Result<std::string> {
                 if (method == "CreateContainer") dying->Close();
                 return std::string();
               }});
  dying = &dies;
  TestPlugin& stays = Connect({.index = "02"});
  const std::string pod = RunPod();
  EXPECT_TRUE(hangs.WaitUntilClosed(Soon()));
  const Ended ended = RunToEnd(pod, ShellConfig("main", "exit 5"));
  EXPECT_EQ(ended.exit_code, 5);
  EXPECT_TRUE(dies.closed());
  EXPECT_TRUE(stays.WaitFor("StopContainer", Soon()));
  EXPECT_FALSE(stays.closed());
}

TEST_P(Nri, AfterTheDaemonsDeathAPluginIsGivenTheNodesState) {
  TestPlugin& before = Connect();
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  world().daemon().Kill();
  EXPECT_TRUE(before.WaitUntilClosed(Soon()));
  RestartDaemon();
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_RUNNING));
  TestPlugin& after = Connect();
  const auto state = after.synchronized();
  ASSERT_EQ(state.pods_size(), 1);
  EXPECT_EQ(state.pods(0).id(), pod);
  ASSERT_EQ(state.containers_size(), 1);
  EXPECT_EQ(state.containers(0).id(), id);
  EXPECT_EQ(state.containers(0).state(), nri::CONTAINER_RUNNING);
  EXPECT_NE(state.containers(0).args_size(), 0);
  StopAndRemovePod(pod);
  EXPECT_EQ(after.MethodsOf(id), (Methods{"StopContainer", "RemoveContainer"}));
  EXPECT_EQ(after.MethodsOf(pod), (Methods{"StopPodSandbox", "RemovePodSandbox"}));
}

TEST_P(Nri, APluginChangesAContainerUnasked) {
  TestPlugin& plugin = Connect();
  const std::string id = CreateAndStart(
      RunPod(), ContainerConfig("hog", {"/bin/sh", "-c",
                                        "while [ ! -e /go ]; do sleep 0.1; done; tail /dev/zero"}));
  nri::UpdateContainersRequest request;
  auto* update = request.add_update();
  update->set_container_id(id);
  update->mutable_linux()->mutable_resources()->mutable_memory()->mutable_limit()->set_value(32
                                                                                             << 20);
  const auto response = plugin.Update(request, Soon());
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->failed_size(), 0);
  EXPECT_EQ(StatusOf(id).resources().linux().memory_limit_in_bytes(), 32 << 20);
  Output(id, "touch /go");
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  // The hog is the shell's child, so the shell says what became of it.
  EXPECT_EQ(StatusOf(id).exit_code(), 137);
}

// The program e2e_nri_plugin, which says to every container what it was configured with.
TEST_P(Nri, AnInstalledPluginRunsAsLongAsTheDaemon) {
  const std::string program = world().paths().base + "/nri-plugins/20-greeter";
  const std::string config = world().paths().base + "/nri-conf.d/greeter.conf";
  const auto text = ReadFile(ProgramFolder() + "/../tests/e2e_nri_plugin");
  ASSERT_TRUE(text) << text.error().message;
  ASSERT_TRUE(MakeDirectories(world().paths().base + "/nri-plugins"));
  ASSERT_TRUE(MakeDirectories(world().paths().base + "/nri-conf.d"));
  ASSERT_TRUE(ReplaceFile(program, *text, 0755, Durability::kProcessCrash));
  ASSERT_EQ(chmod(program.c_str(), 0755), 0);
  ASSERT_TRUE(ReplaceFile(config, "good day", 0644, Durability::kProcessCrash));
  world().daemon().Kill();
  RestartDaemon();
  EXPECT_GT(FindProcess({"20-greeter"}), 0);
  EXPECT_EQ(RunToEnd(RunPod(), ShellConfig("main", "echo \"$GREETING\"")).out, "good day\n");
  EXPECT_EQ(world().daemon().Terminate(), 0);
  EXPECT_TRUE(WaitUntil([] { return FindProcess({"20-greeter"}) <= 0; }));
  ASSERT_TRUE(RemoveIfExists(program));
  ASSERT_TRUE(RemoveIfExists(config));
  RestartDaemon();
}

CATAMARAN_ON_EVERY_HANDLER(Nri);

}  // namespace
}  // namespace catamaran::e2e

// A manager of control groups in a container, as systemd is in a pod that is a machine of its own:
// it makes groups below the container's, moves itself into one and gives others limits.
#include <filesystem>

#include "e2e/harness/pod_test.h"
#include "e2e/harness/processes.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Delegation : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    if (!on_vm() && !Exists("/sys/fs/cgroup/cgroup.controllers"))
      GTEST_SKIP() << "this machine has cgroup v1, where groups are passed on by nobody";
  }

  // Moves all that is in the container's group into one below it, then passes controllers on.
  static constexpr char kManager[] =
      "own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup); mkdir $own/manager $own/work; "
      "for process in $(cat $own/cgroup.procs); do echo $process > $own/manager/cgroup.procs; done "
      "2>/dev/null; echo '+memory +pids' > $own/cgroup.subtree_control && echo managed $own; "
      "exec sleep 1000";

  std::string StartManager() {
    auto pod_config = PodConfig();
    pod_config.mutable_linux()->mutable_security_context()->set_privileged(true);
    const std::string pod = RunPod(pod_config);
    auto config = ShellConfig("manager", kManager);
    config.mutable_linux()->mutable_security_context()->set_privileged(true);
    config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(128 << 20);
    const std::string id = CreateAndStart(pod, config);
    EXPECT_TRUE(WaitUntil([&] { return TextOf(Log(id), "stdout").starts_with("managed /"); }))
        << TextOf(Log(id), "stderr");
    return id;
  }
};

TEST_P(Delegation, AManagersGroupsAreItsOwnAndProcessesStillJoinIt) {
  const std::string id = StartManager();
  const std::string said = TextOf(Log(id), "stdout");
  const std::string own = said.substr(8, said.find('\n') - 8);
  EXPECT_EQ(Output(id, "sed -n 's/^0:://p' /proc/self/cgroup; sed -n 's/^0:://p' /proc/1/cgroup"),
            own.substr(14) + "/manager\n" + own.substr(14) + "/manager\n")
      << "an exec is where the first process is";
  const std::string hog = "echo 16777216 > " + own + "/work/memory.max; sh -c 'echo $$ > " + own +
                          "/work/cgroup.procs; exec tail /dev/zero'; echo ended $?; "
                          "sed -n 's/^oom_kill //p' " +
                          own + "/work/memory.events";
  EXPECT_EQ(Output(id, hog), "ended 137\n1\n");
  EXPECT_EQ(StatusOf(id).state(), v1::CONTAINER_RUNNING);
  v1::ContainerStatsRequest stats;
  stats.set_container_id(id);
  const auto usage = cri().ContainerStats(stats);
  ASSERT_TRUE(usage.ok()) << usage.message();
  EXPECT_GT(usage->stats().memory().usage_bytes().value(), 0U) << "of all below the group";
  v1::UpdateContainerResourcesRequest update;
  update.set_container_id(id);
  update.mutable_linux()->set_memory_limit_in_bytes(96 << 20);
  const auto updated = cri().UpdateContainerResources(update);
  ASSERT_TRUE(updated.ok()) << updated.message();
  EXPECT_EQ(Output(id, "cat " + own + "/memory.max"), std::to_string(96 << 20) + "\n");
}

TEST_P(Delegation, AManagersGroupsGoWithIt) {
  const std::string id = StartManager();
  v1::StopContainerRequest stop;
  stop.set_container_id(id);
  const auto stopped = cri().StopContainer(stop);
  ASSERT_TRUE(stopped.ok()) << stopped.message();
  v1::RemoveContainerRequest remove;
  remove.set_container_id(id);
  const auto removed = cri().RemoveContainer(remove);
  EXPECT_TRUE(removed.ok()) << removed.message() << "; groups left are seen at the end";
}

CATAMARAN_ON_EVERY_HANDLER(Delegation);

}  // namespace
}  // namespace catamaran::e2e

// Programs that plugins of the Node Resource Interface have run at points of a container's life.
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "e2e/harness/processes.h"
#include "e2e/scenarios/nri_fixture.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Hooks : public NriScenario {
 protected:
  void SetUp() override {
    NriScenario::SetUp();
    if (HasFatalFailure()) return;
    notes_ = world().NewFolder("notes");
  }

  // `sh -c SCRIPT`, on the node or, of startContainer, in the container.
  static void Set(nri::Hook* hook, const std::string& script, int timeout = 0) {
    hook->set_path("/bin/sh");
    for (const std::string& word : {std::string("sh"), std::string("-c"), script})
      hook->add_args(word);
    hook->add_env("PATH=/usr/bin:/bin");
    if (timeout > 0) hook->mutable_timeout()->set_value(timeout);
  }
  // Adds a line to a note.
  std::string Say(const std::string& note) const { return "echo x >> " + notes_ + "/" + note; }
  std::string Note(const std::string& name) const {
    return ReadFile(notes_ + "/" + name).value_or("");
  }
  Reply<v1::StartContainerResponse> TryStart(const std::string& id) {
    v1::StartContainerRequest request;
    request.set_container_id(id);
    return cri().StartContainer(request);
  }
  // A container whose start fails so, and nothing of which runs afterwards.
  void ExpectStartFails(const std::string& why) {
    const std::string pod = RunPod();
    const std::string id = Create(pod, ContainerConfig("main", {"/bin/sleep", "98765"}));
    const auto started = TryStart(id);
    EXPECT_FALSE(started.ok());
    EXPECT_NE(started.message().find(why), std::string::npos) << started.message();
    const auto status = StatusOf(id);
    EXPECT_EQ(status.state(), v1::CONTAINER_EXITED);
    EXPECT_EQ(status.exit_code(), 128);
    EXPECT_EQ(status.reason(), "StartError");
    EXPECT_NE(status.message().find(why), std::string::npos) << status.message();
    EXPECT_EQ(FindProcess({"/bin/sleep", "98765"}), 0);
    EXPECT_EQ(FindProcess({"sleep", "87654"}), 0) << "the hook is left";
    // The pod goes on.
    EXPECT_EQ(RunWithoutPlugins(pod), 7);
    StopAndRemovePod(pod);
  }
  int RunWithoutPlugins(const std::string& pod) {
    ClosePlugins();
    return RunToEnd(pod, ShellConfig("other", "exit 7")).exit_code;
  }
  void KillShim(const std::string& pod) {
    const pid_t shim = FindProcess({"catamaran-shim", pod});
    ASSERT_GT(shim, 0) << "no process names the pod";
    ASSERT_EQ(kill(shim, SIGKILL), 0);
  }

  std::string notes_;
};

TEST_P(Hooks, OfTheStartRunInTheContainerBeforeItsProgram) {
  nri::ContainerAdjustment adjustment;
  Set(adjustment.mutable_hooks()->add_start_container(),
      "tr ',' '\\n' | grep status > /hooked; id -u >> /hooked");
  Adjusting(adjustment);
  auto config = ShellConfig("main", "cat /hooked");
  config.mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(0);
  EXPECT_EQ(RunToEnd(RunPod(), config).out, "\"status\":\"created\"}\n0\n");
}

TEST_P(Hooks, ThatFailAtTheStartEndTheContainer) {
  nri::ContainerAdjustment adjustment;
  Set(adjustment.mutable_hooks()->add_start_container(), "echo broken >&2; exit 3");
  Adjusting(adjustment);
  ExpectStartFails("exit status 3: broken");
}

TEST_P(Hooks, ThatHangAtTheStartEndTheContainerAfterTheirTime) {
  nri::ContainerAdjustment adjustment;
  Set(adjustment.mutable_hooks()->add_start_container(), "sleep 87654", 1);
  Adjusting(adjustment);
  ExpectStartFails("did not end within 1 s");
}

TEST_P(Hooks, OfTheNodeAreRefusedWhereTheyCannotActOnTheContainer) {
  if (!on_vm()) GTEST_SKIP() << "they act on containers in namespaces";
  nri::ContainerAdjustment adjustment;
  Set(adjustment.mutable_hooks()->add_poststart(), "true");
  Adjusting(adjustment);
  const auto reply = TryCreate(RunPod(), ShellConfig("main", "true"));
  EXPECT_FALSE(reply.ok());
  EXPECT_NE(reply.message().find("hooks"), std::string::npos) << reply.message();
}

// Those that run on the node: of containers that do too.
class NodeHooks : public Hooks {};

TEST_P(NodeHooks, AfterTheStartFindARunningContainer) {
  nri::ContainerAdjustment adjustment;
  Set(adjustment.mutable_hooks()->add_poststart(), "cat > " + notes_ + "/state");
  Set(adjustment.mutable_hooks()->add_poststop(), Say("end"));
  Adjusting(adjustment);
  const std::string id = CreateAndStart(RunPod(), ContainerConfig("main", {"/bin/sleep", "1000"}));
  const auto state = nlohmann::json::parse(Note("state"), nullptr, false);
  ASSERT_TRUE(state.is_object()) << Note("state");
  EXPECT_EQ(state["id"], id);
  EXPECT_EQ(state["status"], "running");
  EXPECT_EQ(ReadFile(fmt::format("/proc/{}/comm", state.value("pid", 0))).value_or(""), "sleep\n");
  v1::RemoveContainerRequest remove;
  remove.set_container_id(id);
  ASSERT_TRUE(cri().RemoveContainer(remove).ok());
  EXPECT_EQ(Note("end"), "x\n");
}

TEST_P(NodeHooks, ThatFailOrHangAfterTheStartEndTheContainer) {
  for (const bool hangs : {false, true}) {
    nri::ContainerAdjustment adjustment;
    Set(adjustment.mutable_hooks()->add_poststart(), hangs ? "sleep 87654" : "exit 3", 1);
    Set(adjustment.mutable_hooks()->add_poststop(), Say(hangs ? "hung" : "failed"));
    Adjusting(adjustment);
    ExpectStartFails(hangs ? "did not end within 1 s" : "exit status 3");
    EXPECT_EQ(Note(hangs ? "hung" : "failed"), "x\n");
  }
}

TEST_P(NodeHooks, ThatFailBeforeTheStartLeaveNoContainer) {
  nri::ContainerAdjustment adjustment;
  Set(adjustment.mutable_hooks()->add_create_runtime(), "exit 4");
  Set(adjustment.mutable_hooks()->add_poststop(), Say("end"));
  Adjusting(adjustment);
  const std::string pod = RunPod();
  const auto reply = TryCreate(pod, ShellConfig("main", "true"));
  EXPECT_FALSE(reply.ok());
  EXPECT_NE(reply.message().find("hook createRuntime[0] /bin/sh: exit status 4"), std::string::npos)
      << reply.message();
  EXPECT_EQ(cri().ListContainers({})->containers_size(), 0);
  EXPECT_EQ(Note("end"), "x\n");
  EXPECT_EQ(RunWithoutPlugins(pod), 7);
}

TEST_P(NodeHooks, AfterTheEndRunOnceThoughTheShimWasKilled) {
  nri::ContainerAdjustment adjustment;
  Set(adjustment.mutable_hooks()->add_poststop(), Say("end"));
  Adjusting(adjustment);
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  KillShim(pod);
  EXPECT_TRUE(WaitUntil([&] { return Note("end") == "x\n"; })) << "before anybody stops the pod";
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  StopAndRemovePod(pod);
  EXPECT_EQ(Note("end"), "x\n");
}

TEST_P(NodeHooks, AfterTheEndRunOnceThoughDaemonAndShimWereKilled) {
  nri::ContainerAdjustment adjustment;
  Set(adjustment.mutable_hooks()->add_poststop(), Say("end"));
  Adjusting(adjustment);
  const std::string pod = RunPod();
  StartSleeper(pod, "one");
  const std::string removed = StartSleeper(pod, "two");
  v1::RemoveContainerRequest remove;
  remove.set_container_id(removed);
  ASSERT_TRUE(cri().RemoveContainer(remove).ok());
  EXPECT_EQ(Note("end"), "x\n");
  world().daemon().Kill();
  KillShim(pod);
  RestartDaemon();
  EXPECT_TRUE(WaitUntil([&] { return Note("end") == "x\nx\n"; })) << Note("end");
  StopAndRemovePod(pod);
  EXPECT_EQ(Note("end"), "x\nx\n") << "of the one that was removed they had run";
}

// A shim that is killed because its pod does not end in time.
TEST_P(NodeHooks, AfterTheEndThatHangDoNotHoldUpTheStop) {
  nri::ContainerAdjustment adjustment;
  Set(adjustment.mutable_hooks()->add_poststop(), "sleep 87654", 600);
  Adjusting(adjustment);
  const std::string pod = RunPod();
  StartSleeper(pod);
  const auto began = std::chrono::steady_clock::now();
  StopAndRemovePod(pod);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(40));
  EXPECT_EQ(FindProcess({"sleep", "87654"}), 0) << "the hook is left";
}

CATAMARAN_ON_EVERY_HANDLER(Hooks);
INSTANTIATE_TEST_SUITE_P(On, NodeHooks, ::testing::Values("ns"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace catamaran::e2e

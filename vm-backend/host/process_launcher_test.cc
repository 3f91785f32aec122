// The whole path from the shim's backend to the engine, with a local process in the machine's
// place.

#include <fcntl.h>
#include <signal.h>

#include "vm-backend/host/vm_test_util.h"

namespace catamaran {
namespace {

class ProcessLauncherTest : public testing::Test {
 protected:
  void SetUp() override { loop_ = *EventLoop::Create(); }
  static spec::SandboxSpec LocalSandbox(const VmPod& pod) {
    auto sandbox = pod.MachineSandbox();
    sandbox.mutable_machine()->set_launcher(spec::MachineSpec::PROCESS);
    sandbox.set_network(spec::NODE);
    return sandbox;
  }
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(ProcessLauncherTest, ReachesTheEngineOfALocalAgent) {
  VmPod pod(*loop_);
  auto sandbox = LocalSandbox(pod);
  sandbox.set_network(spec::POD);
  const auto made = pod.Create(sandbox);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->details().at("launcher"), "process");
  const auto list =
      Await<pod::ListResponse>(*loop_, [&](auto done) { pod.backend().List(std::move(done)); });
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->sandbox_ready());
  EXPECT_TRUE(pod.Destroy());
}

TEST_F(ProcessLauncherTest, RefusesWhatAVmRefuses) {
  VmPod pod(*loop_);
  const auto made = pod.Create(LocalSandbox(pod));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kUnimplemented);
}

TEST_F(ProcessLauncherTest, CannotBeHadWhereTheShimHasNone) {
  VmBackend backend(*loop_, {MakeQemuLauncher(*loop_), nullptr}, {});
  VmPod pod(*loop_);
  pod::CreateSandboxRequest request;
  *request.mutable_sandbox() = LocalSandbox(pod);
  request.mutable_sandbox()->set_network(spec::POD);
  const auto made = Await<pod::CreateSandboxResponse>(
      *loop_, [&](auto done) { backend.CreateSandbox(request, std::move(done)); });
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ProcessLauncherTest, SaysThatTheAgentCannotBeExecuted) {
  VmPod pod(*loop_);
  auto sandbox = LocalSandbox(pod);
  sandbox.set_network(spec::POD);
  sandbox.mutable_machine()->set_agent("/nowhere/agent");
  EXPECT_FALSE(pod.Create(sandbox));
}

}  // namespace
}  // namespace catamaran

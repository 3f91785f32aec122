// What is left when the engine is killed: nothing that killing the pod's group and deleting its
// folders does not remove.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/backend/engine_fixture.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/process.h"

namespace catamaran {
namespace {

using Survival = EngineTest;

TEST_F(Survival, DestroyingABackendLeavesTheSandboxAlone) {
  CreateSandbox();
  StartForever("one");
  const int pid = List().containers(0).pid();
  backend_.reset();
  EXPECT_EQ(kill(pid, 0), 0) << "the container still runs";
  // What a later engine finds is killed by its group.
  auto group = CgroupTree::Open().value()->OpenGroup("/catamaran-test/" + pod_id_).value();
  ASSERT_TRUE(group.KillAll(Deadline::After(std::chrono::seconds(30))));
  EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
  ASSERT_TRUE(group.Remove(Deadline::After(std::chrono::seconds(30))));
  ASSERT_TRUE(RemoveTree(folder_ / "state"));
  ASSERT_TRUE(RemoveTree(folder_ / "data"));
  backend_ = MakeNamespaceBackend(*loop_).value();
}

TEST_F(Survival, DestroyIsIdempotentAndAnotherSandboxCanFollow) {
  CreateSandbox();
  EXPECT_EQ(TryCreateSandbox(SandboxSpec()).error().code, ErrorCode::kAlreadyExists);
  StartForever("one");
  ASSERT_TRUE(DestroySandbox());
  ASSERT_TRUE(DestroySandbox());
  EXPECT_FALSE(List().sandbox_ready());
  EXPECT_EQ(Create(ProbeSpec("two", {})).error().code, ErrorCode::kFailedPrecondition);
  CreateSandbox();
  EXPECT_EQ(Run({"echo:again"})["echo"], "again");
}

TEST_F(Survival, AFailedSandboxLeavesNothing) {
  auto sandbox = SandboxSpec();
  sandbox.set_network_namespace("/proc/self/ns/mnt");
  auto created = TryCreateSandbox(sandbox);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(created.error().message.find("network_namespace"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "state"));
  EXPECT_FALSE(CgroupTree::Open().value()->Exists("/catamaran-test/" + pod_id_));
}

TEST_F(Survival, ASandboxDestroyedWhileItIsMadeIsGoneAndItsMakerIsTold) {
  pod::CreateSandboxRequest request;
  *request.mutable_sandbox() = SandboxSpec();
  std::optional<Result<pod::CreateSandboxResponse>> created;
  backend_->CreateSandbox(request, [&](auto result) { created = std::move(result); });
  ASSERT_TRUE(DestroySandbox());
  ASSERT_TRUE(created);
  EXPECT_EQ(created->error().code, ErrorCode::kAborted);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "state"));
}

// The engine dies at its n-th step, for every n until a whole life of a pod takes fewer.
TEST_F(Survival, KilledAtAnyStepItLeavesNothingThatStays) {
  auto sandbox = SandboxSpec();
  sandbox.set_pid(spec::POD);
  auto container = ProbeSpec("one", {"echo:ready", "forever"});
  container.set_pid(spec::POD);
  const auto tree = CgroupTree::Open().value();
  bool completed = false;
  int step = 0;
  for (step = 1; !completed && step < 200; ++step) {
    const pid_t engine = fork();
    if (engine == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      // Containers and the like belong to the pod's group, as everything of a shim does.
      auto pod = tree->Create("/catamaran-test/" + pod_id_ + "/shim");
      if (!pod || !pod->Attach(0)) _exit(2);
      // An engine of its own: a loop's descriptors are shared by fork(2).
      [[maybe_unused]] auto* inherited_backend = backend_.release();
      [[maybe_unused]] auto* inherited_loop = loop_.release();
      loop_ = EventLoop::Create().value();
      backend_ = MakeNamespaceBackend(*loop_).value();
      ArmAbortStep(step);
      CreateSandbox(sandbox);
      if (HasFailure() || !Create(container) || !Start("one") || !Remove("one") ||
          !DestroySandbox())
        _exit(3);
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(engine, &status, 0), engine);
    completed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    ASSERT_TRUE(completed || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
        << "step " << step << ": status " << status;
    // What the daemon does for a shim that is gone.
    auto group = tree->OpenGroup("/catamaran-test/" + pod_id_);
    ASSERT_TRUE(group) << group.error().message;
    ASSERT_TRUE(group->KillAll(Deadline::After(std::chrono::seconds(30)))) << "step " << step;
    ASSERT_TRUE(group->Remove(Deadline::After(std::chrono::seconds(30)))) << "step " << step;
    ASSERT_TRUE(RemoveTree(folder_ / "state"));
    ASSERT_TRUE(RemoveTree(folder_ / "data"));
  }
  EXPECT_TRUE(completed);
  EXPECT_GT(step, 8) << "there are steps";
  RecordProperty("steps", step - 2);
}

}  // namespace
}  // namespace catamaran

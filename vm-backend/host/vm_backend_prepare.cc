// Machines ahead of their pods: VmBackend's part in them.
#include "vm-backend/host/vm_backend.h"

namespace catamaran {

void VmBackend::PrepareSandbox(const pod::PrepareSandboxRequest& request,
                               Completion<pod::PrepareSandboxResponse> done) {
  if (state_ != State::kNone) return done(Fail(ErrorCode::kAlreadyExists, "the sandbox exists"));
  auto launcher = LauncherOf(request.sandbox());
  if (!launcher) return done(tl::unexpected<Error>(std::move(launcher).error()));
  sandbox_ = request.sandbox();
  state_ = State::kPreparing;
  prepare_done_ = std::move(done);
  StartBootTimer();
  (*launcher)->Prepare(sandbox_, WhenLaunched(State::kPreparing));
}

// What a guest can do before it has a pod: find and mount its disk, start the volume pump. It does
// it as somebody else than its template, too.
void VmBackend::PrepareGuest() {
  if (machine_->shares_host_files()) return RestMachine();
  pod::PrepareSandboxRequest request;
  *request.mutable_sandbox() = GuestSandbox();
  agent_->PrepareSandbox(request, [this](Result<pod::PrepareSandboxResponse> prepared) {
    if (state_ != State::kPreparing) return;
    if (prepared) return RestMachine();
    if (prepared.error().code == ErrorCode::kUnavailable)
      return AgentGone("the agent is gone: " + prepared.error().message);
    FailStart(std::move(prepared).error().While("the machine's agent"));
  });
}

void VmBackend::RestMachine() {
  machine_->Rest([this, alive = alive_](Status rests) {
    if (!*alive || state_ != State::kPreparing) return;
    if (!rests) return FailStart(std::move(rests).error());
    boot_timer_.Cancel();
    state_ = State::kPrepared;
    auto done = std::move(prepare_done_);
    done(machine_->suits());
  });
}

void VmBackend::ClaimMachine(const spec::SandboxSpec& sandbox) {
  // Volume server and pump know each other by it already.
  const std::string secret = sandbox_.guest().volume_secret();
  sandbox_ = sandbox;
  sandbox_.mutable_guest()->set_volume_secret(secret);
  machine_->Claim(sandbox_, [this, alive = alive_](Status claimed) {
    if (!*alive || state_ != State::kStarting) return;
    if (!claimed) return FailStart(std::move(claimed).error().While("the machine that waited"));
    BeginStep("agent answers");
    AskAgent();
  });
}

}  // namespace catamaran

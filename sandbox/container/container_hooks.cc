// A container's hooks as its parent sees them: each set runs in a child of this process.
#include <signal.h>

#include "sandbox/container/container.h"

namespace catamaran {

void Container::SetUpHooks() {
  hooks_.hooks = spec_.hooks();
  hooks_.id = spec_.container_id();
  hooks_.annotations.insert(spec_.annotations().begin(), spec_.annotations().end());
  hooks_.bundle = sandbox_.spec.state_directory() + "/bundles/" + spec_.container_id();
}

void Container::RunHostHooks(std::vector<HookPoint> points, Done done) {
  hooks_done_ = std::move(done);
  hook_task_ = ChildTask::Start(
      *sandbox_.loop,
      [hooks = hooks_, points = std::move(points), pid = init_->pid()]() -> Status {
        for (const HookPoint point : points) RETURN_IF_ERROR(RunHooks(hooks, point, pid));
        return {};
      },
      [this](Status outcome) {
        const auto ended = std::move(hook_task_);
        auto callback = std::move(hooks_done_);
        callback(std::move(outcome));
      });
}

void Container::CancelHooks() {
  if (!hook_task_) return;
  hook_task_.reset();
  auto callback = std::move(hooks_done_);
  callback(Fail(ErrorCode::kAborted, "the container is removed while its hooks run"));
}

void Container::FailAndKill(Error error) {
  failure_ = std::move(error);
  killed_by_request_ = true;
  // Its end is what is waited for, and that comes anyway.
  if (init_) (void)init_->Signal(SIGKILL);
}

void Container::OnBuilt() {
  RunHostHooks({HookPoint::kPrestart, HookPoint::kCreateRuntime}, [this](Status outcome) {
    if (outcome) outcome = init_->Continue();
    if (!outcome) FailAndKill(std::move(outcome).error());
  });
}

void Container::RunPoststartHooks() {
  RunHostHooks({HookPoint::kPoststart}, [this](Status outcome) {
    if (outcome) {
      ReportStarted();
    } else {
      FailAndKill(std::move(outcome).error());
    }
    if (auto end = std::exchange(end_during_hooks_, std::nullopt)) OnInitExit(*end);
  });
}

}  // namespace catamaran

#include "cri/pods/pod.h"

#include <chrono>

#include "cri/pods/container_events.h"
#include "cri/pods/wait.h"

namespace catamaran {
namespace {

constexpr int kSignalKillExit = 128 + 9;
constexpr int kUnknownExitCode = 255;

// The reasons that the kubelet and its users know.
std::string ReasonOf(const record::ContainerRecord& record, const spec::ExitStatus& exit,
                     bool presumed) {
  if (presumed) return "Unknown";
  // The flag alone may come from a child that was killed while the container went on.
  if (exit.oom_killed() && exit.exit_code() == kSignalKillExit) return "OOMKilled";
  if (record.started_at_ns() == 0 && !exit.message().empty()) return kStartError;
  return exit.exit_code() == 0 ? "Completed" : "Error";
}

}  // namespace

Result<Turn> Turn::Take(const std::shared_ptr<Pod>& pod, bool& busy, Deadline deadline,
                        const CallContext& call) {
  std::unique_lock lock(pod->mutex);
  RETURN_IF_ERROR(WaitFor(lock, pod->changed, deadline, call, [&] { return !busy; }));
  busy = true;
  return Turn(pod, &busy);
}

Turn::~Turn() {
  if (busy_ == nullptr) return;
  std::lock_guard lock(pod_->mutex);
  *busy_ = false;
  pod_->Changed();
}

PodUse::~PodUse() {
  if (!pod_) return;
  std::lock_guard lock(pod_->mutex);
  --pod_->users;
  pod_->Changed();
}

void Pod::Changed() {
  changed.notify_all();
  if (events != nullptr) events->Tell(*this);
}

Status Advance(record::PodRecord& record, SandboxEvent event) {
  ASSIGN_OR_RETURN(auto next, Next(static_cast<SandboxState>(record.state()), event));
  record.set_state(static_cast<record::SandboxState>(next));
  return {};
}

Status Advance(record::ContainerRecord& record, ContainerEvent event) {
  ASSIGN_OR_RETURN(auto next, Next(static_cast<ContainerState>(record.state()), event));
  record.set_state(static_cast<record::ContainerState>(next));
  return {};
}

bool ApplyExit(record::ContainerRecord& record, const spec::ExitStatus& exit, bool presumed) {
  if (record.has_exit() && (presumed || !record.exit_presumed())) return false;
  if (!Advance(record, ContainerEvent::kExited)) return false;
  record.set_reason(ReasonOf(record, exit, presumed));
  record.set_message(exit.message());
  record.set_exit_presumed(presumed);
  record.set_pid(0);
  *record.mutable_exit() = exit;
  if (exit.exited_at_ns() == 0) record.mutable_exit()->set_exited_at_ns(NowNanoseconds());
  return true;
}

spec::ExitStatus UnknownExit(const std::string& why) {
  spec::ExitStatus exit;
  exit.set_exit_code(kUnknownExitCode);
  exit.set_exited_at_ns(NowNanoseconds());
  exit.set_message(why);
  return exit;
}

int64_t NowNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace catamaran

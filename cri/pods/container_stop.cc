#include "cri/pods/container_stop.h"

#include <csignal>

#include "cri/pods/shim_link.h"
#include "cri/pods/wait.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

// How long a shim may take to pass on a signal, a killed process to be reaped, and a shim to say
// that it lives: together less than ten seconds, with the end by cgroup.
constexpr seconds kSignalLimit{2};
constexpr seconds kReapLimit{2};
constexpr seconds kProbeLimit{2};
constexpr seconds kCgroupLimit{3};

// The caller holds pod.mutex.
bool Ended(const Container& container) {
  const ContainerState state = container.state();
  return container.record.has_exit() ||
         (state != ContainerState::kRunning && state != ContainerState::kUnknown);
}

Status WaitForEnd(const PodTable::Member& member, Deadline deadline, const CallContext& call) {
  std::unique_lock lock(member.pod->mutex);
  return WaitFor(lock, member.pod->changed, deadline, call,
                 [&] { return Ended(*member.container); });
}

Status SendSignal(Pods& pods, const PodTable::Member& member, int signal, bool all,
                  const CallContext& call) {
  CallContext bounded = call;
  bounded.deadline = call.deadline.Earlier(Deadline::After(kSignalLimit));
  ASSIGN_OR_RETURN(auto in_use, UsePod(pods, member.pod, bounded));
  pod::SignalRequest request;
  request.mutable_process()->set_container_id(member.container->id.value());
  request.set_signal(signal);
  request.set_all(all);
  return in_use.shim->Signal(request, bounded.deadline);
}

bool ShimAnswers(Pods& pods, const PodTable::Member& member, const CallContext& call) {
  CallContext bounded = call;
  bounded.deadline = call.deadline.Earlier(Deadline::After(kProbeLimit));
  auto in_use = UsePod(pods, member.pod, bounded);
  return in_use && in_use->shim->List(bounded.deadline).has_value();
}

// True for the one call that is to send the stop signal. It is recorded first: after a crash the
// container gets its SIGKILL in time, but never a second stop signal.
bool ClaimStopSignal(Pods& pods, const PodTable::Member& member, Deadline kill_at, bool wanted) {
  std::lock_guard lock(member.pod->mutex);
  Container& container = *member.container;
  container.kill_at = container.kill_at ? container.kill_at->Earlier(kill_at) : kill_at;
  member.pod->Changed();
  if (!wanted || container.record.stop_signal_sent()) return false;
  container.record.set_stop_signal_sent(true);
  SaveFact(pods, container.record);
  return true;
}

}  // namespace

Status StopAndWait(Pods& pods, const PodTable::Member& member, std::chrono::milliseconds grace,
                   const CallContext& call) {
  const auto& [pod, container] = member;
  int stop_signal = 0;
  {
    std::lock_guard lock(pod->mutex);
    if (Ended(*container)) return {};
    stop_signal = container->record.stop_signal();
    if (stop_signal == 0) stop_signal = SIGTERM;
  }
  if (ClaimStopSignal(pods, member, Deadline::After(grace), grace.count() > 0)) {
    // One that does not get through leaves the container its grace all the same, then SIGKILL.
    if (auto sent = SendSignal(pods, member, stop_signal, /*all=*/false, call); !sent)
      pods.Notice(AboutOf(member), sent.error().message);
  }
  {
    std::unique_lock lock(pod->mutex);
    RETURN_IF_ERROR(WaitFor(lock, pod->changed, call.deadline, call, [&container = container] {
      return Ended(*container) || container->kill_at->expired();
    }));
    if (Ended(*container)) return {};
  }
  return KillAndWait(pods, member, call);
}

Status KillAndWait(Pods& pods, const PodTable::Member& member, const CallContext& call) {
  const auto sent = SendSignal(pods, member, SIGKILL, /*all=*/true, call);
  auto ended = WaitForEnd(member, call.deadline.Earlier(Deadline::After(kReapLimit)), call);
  if (ended || call.cancelled()) return ended;
  // A shim that answers is still writing the container's output, or waits for a process in an
  // uninterruptible sleep: it is right to wait with it.
  if (!sent || !ShimAnswers(pods, member, call)) {
    pods.Notice(AboutOf(member), "does not answer a SIGKILL: the pod is ended");
    std::string cgroup;
    {
      std::lock_guard lock(member.pod->mutex);
      cgroup = member.pod->record.sandbox().cgroup_path();
    }
    if (auto killed =
            pods.cgroups().Kill(cgroup, call.deadline.Earlier(Deadline::After(kCgroupLimit)));
        !killed)
      return tl::unexpected(std::move(killed).error().While("end the pod"));
  }
  return WaitForEnd(member, call.deadline, call);
}

}  // namespace catamaran

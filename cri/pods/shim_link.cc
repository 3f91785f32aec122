#include "cri/pods/shim_link.h"

#include <sys/eventfd.h>

#include "cri/pods/left_hooks.h"
#include "cri/pods/nri_events.h"
#include "cri/pods/reconcile.h"
#include "cri/pods/wait.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

// A shim that answers ends its pod in well under a second; these add up to less than the ten
// seconds within which a stop must end when it does not.
constexpr seconds kReconnectLimit{2};
constexpr seconds kPoliteLimit{3};
constexpr seconds kKillLimit{10};
constexpr seconds kLostPodLimit{60};

void OnExited(Pods& pods, Pod& pod, const pod::ProcessExited& exited) {
  std::lock_guard lock(pod.mutex);
  const spec::ProcessRef& process = exited.process();
  if (!process.exec_id().empty()) {
    auto wait = pod.execs.find(process.exec_id());
    if (wait == pod.execs.end()) return;
    wait->second->exit = exited.exit();
    eventfd_write(wait->second->finished.get(), 1);
    return;
  }
  auto found = pod.containers.find(process.container_id());
  if (found == pod.containers.end()) return;
  record::ContainerRecord& record = found->second->record;
  if (ApplyExit(record, exited.exit(), /*presumed=*/false)) SaveFact(pods, record);
  pod.Changed();
}

// Those who wait for the end of an exec'd process would wait for ever.
void LoseExecs(Pod& pod) {
  for (auto& [id, wait] : pod.execs) {
    wait->lost = true;
    eventfd_write(wait->finished.get(), 1);
  }
}

void EndLostPod(Pods& pods, const std::shared_ptr<Pod>& pod, const std::string& message) {
  const CallContext call{.deadline = Deadline::After(kLostPodLimit)};
  auto turn = Turn::Take(pod, pod->tearing_down, call.deadline, call);
  if (!turn) return;  // somebody is taking it down, which ends it just as well
  const auto ended = EndShim(pods, pod, call.deadline);
  if (!ended) pods.Notice({.pod = pod->id.value()}, "end it: " + ended.error().message);
  SettleContainers(pods, *pod, message);
  TellContainersStopped(pods, pod, call);
  if (ended) RunLeftHooks(pods, *pod, call.deadline);
}

}  // namespace

void SaveFact(Pods& pods, const record::PodRecord& record) {
  if (auto saved = pods.records().Save(record); !saved)
    pods.Notice({.pod = record.pod_id()}, "its record: " + saved.error().message);
}

void SaveFact(Pods& pods, const record::ContainerRecord& record) {
  if (auto saved = pods.records().Save(record); !saved)
    pods.Notice({record.pod_id(), record.container_id()}, "its record: " + saved.error().message);
}

ShimClient::Events EventsOf(Pods& pods, const std::shared_ptr<Pod>& pod) {
  std::weak_ptr<Pod> weak = pod;
  ShimClient::Events events;
  events.on_event = [&pods, weak](const pod::Event& event) {
    auto pod = weak.lock();
    if (!pod) return;
    if (event.has_exited()) {
      OnExited(pods, *pod, event.exited());
      const spec::ProcessRef& process = event.exited().process();
      if (process.exec_id().empty()) TellExitInBackground(pods, pod, process.container_id());
    }
    if (event.has_warning())
      pods.Notice({pod->id.value(), event.warning().container_id()}, event.warning().text());
    if (event.has_failed()) LosePod(pods, pod, "SandboxFailed", event.failed().reason());
  };
  events.on_gone = [&pods, weak] {
    if (auto pod = weak.lock()) LosePod(pods, pod, "ShimGone", "the shim of this pod is gone");
  };
  return events;
}

Result<PodInUse> UsePod(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    {
      std::lock_guard lock(pod->mutex);
      if (pod->state() != SandboxState::kReady) {
        return Fail(ErrorCode::kFailedPrecondition, "sandbox {} is {}{}{}", pod->id.value(),
                    Name(pod->state()), pod->record.reason().empty() ? "" : ": ",
                    pod->record.reason());
      }
      if (pod->shim) return PodInUse{pod->shim, PodUse(pod)};
    }
    RETURN_IF_ERROR(ConnectShim(pods, pod, call));
  }
  return Fail(ErrorCode::kUnavailable, "the shim of sandbox {} is gone", pod->id.value());
}

Status ConnectShim(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call) {
  ASSIGN_OR_RETURN(auto turn, Turn::Take(pod, pod->connecting, call.deadline, call));
  {
    std::lock_guard lock(pod->mutex);
    if (pod->shim) return {};
  }
  const Deadline deadline = call.deadline.Earlier(Deadline::After(kReconnectLimit));
  auto shim = pods.shims().Reconnect(pod->id, pod->paths, EventsOf(pods, pod), deadline);
  if (!shim) {
    if (shim.error().code == ErrorCode::kNotFound)
      LosePod(pods, pod, "ShimGone", "the shim of this pod was gone when the daemon came back");
    return tl::unexpected(std::move(shim).error().While("connect to the shim"));
  }
  ASSIGN_OR_RETURN(const pod::ListResponse list, (*shim)->List(deadline));
  const auto strangers = Reconcile(pods, *pod, list);
  {
    std::lock_guard lock(pod->mutex);
    // Gone again: on_gone has told, or will.
    if ((*shim)->alive()) pod->shim = *shim;
    pod->Changed();
  }
  if (!list.sandbox_ready()) LosePod(pods, pod, "SandboxFailed", list.sandbox_reason());
  for (const ContainerId& stranger : strangers) {
    if (auto removed = (*shim)->RemoveContainer(stranger, call.deadline); !removed)
      pods.Notice({pod->id.value(), stranger.value()}, removed.error().message);
  }
  return {};
}

void LosePod(Pods& pods, const std::shared_ptr<Pod>& pod, const std::string& reason,
             const std::string& message) {
  std::shared_ptr<ShimClient> gone;
  bool newly_lost = false;
  {
    std::lock_guard lock(pod->mutex);
    LoseExecs(*pod);
    if (pod->shim && !pod->shim->alive()) gone.swap(pod->shim);
    if (pod->state() == SandboxState::kCreating || pod->state() == SandboxState::kReady) {
      pod->record.set_reason(reason);
      pod->record.set_message(message);
    }
    // Otherwise it is being made or taken down, and whoever does that sees what happened.
    if (pod->state() == SandboxState::kReady) {
      newly_lost = Advance(pod->record, SandboxEvent::kLost).has_value();
      SaveFact(pods, pod->record);
    }
    pod->Changed();
  }
  if (newly_lost) pods.Notice({.pod = pod->id.value()}, "is lost: " + message);
  // The client is let go there too: it must not be destroyed from within its own callback.
  pods.background().Run([&pods, pod, message, newly_lost, gone = std::move(gone)]() mutable {
    gone.reset();
    if (newly_lost) EndLostPod(pods, pod, message);
  });
}

Status StartShim(Pods& pods, const std::shared_ptr<Pod>& pod, ShimManager::Backend backend,
                 const std::string& cgroup, ShimClient::Events events, Deadline deadline) {
  ASSIGN_OR_RETURN(auto shim, pods.shims().Spawn(pod->id, pod->paths, backend,
                                                 pods.cgroups().JoinedByShim(cgroup),
                                                 std::move(events), deadline));
  {
    std::lock_guard lock(pod->mutex);
    pod->shim = std::move(shim);
  }
  return pods.cgroups().Admit(pod->paths, cgroup, deadline);
}

std::string WaitingCgroup(const Pods& pods, const PodId& pod) {
  return WaitingCgroupPath(pods.config().cgroup_driver, pods.config().cgroup_root, pod);
}

std::vector<std::string> CgroupsOf(const Pods& pods, const Pod& pod) {
  std::vector<std::string> groups = {pod.record.sandbox().cgroup_path()};
  const std::string waiting = WaitingCgroup(pods, pod.id);
  if (pod.record.sandbox().has_machine() && waiting != groups.front()) groups.push_back(waiting);
  return groups;
}

Status EndShim(Pods& pods, const std::shared_ptr<Pod>& pod, Deadline deadline) {
  std::shared_ptr<ShimClient> shim;
  std::vector<std::string> cgroups;
  {
    std::lock_guard lock(pod->mutex);
    shim = pod->shim;
    cgroups = CgroupsOf(pods, *pod);
  }
  if (!shim && !ShimManager::IsGone(pod->paths)) {
    // Left by the daemon before, maybe not in its cgroup yet. One that does not answer is killed.
    auto connected = pods.shims().Reconnect(pod->id, pod->paths, EventsOf(pods, pod),
                                            deadline.Earlier(Deadline::After(kReconnectLimit)));
    if (connected) shim = *connected;
  }
  if (shim) {
    const Deadline polite = deadline.Earlier(Deadline::After(kPoliteLimit));
    if (shim->DestroySandbox(polite)) (void)shim->Shutdown(polite);
  }
  // Also where the shim ended well: nothing that it may have missed survives the pod.
  for (const std::string& cgroup : cgroups)
    RETURN_IF_ERROR(pods.cgroups().Kill(cgroup, deadline.Earlier(Deadline::After(kKillLimit))));
  if (!ShimManager::IsGone(pod->paths))
    return Fail(ErrorCode::kDeadlineExceeded, "the shim of pod {} does not end", pod->id.value());
  std::lock_guard lock(pod->mutex);
  shim.swap(pod->shim);
  LoseExecs(*pod);
  pod->Changed();
  return {};
}

void SettleContainers(Pods& pods, Pod& pod, const std::string& why) {
  const auto journal = ShimManager::ReadJournal(pod.paths);
  std::lock_guard lock(pod.mutex);
  if (journal) {
    for (const pod::ProcessExited& exited : *journal) {
      if (!exited.process().exec_id().empty()) continue;
      auto found = pod.containers.find(exited.process().container_id());
      if (found == pod.containers.end()) continue;
      if (ApplyExit(found->second->record, exited.exit(), /*presumed=*/false))
        SaveFact(pods, found->second->record);
    }
  }
  for (auto& [id, container] : pod.containers) {
    // What is half made is rolled back, what is half removed is finished.
    const ContainerState state = container->state();
    if (state == ContainerState::kCreating || state == ContainerState::kRemoving) continue;
    if (ApplyExit(container->record, UnknownExit(why), /*presumed=*/true))
      SaveFact(pods, container->record);
  }
  pod.Changed();
}

}  // namespace catamaran

#include "cri/pods/teardown.h"

#include "cri/pods/container_stop.h"
#include "cri/pods/identity.h"
#include "cri/pods/left_hooks.h"
#include "cri/pods/nri_events.h"
#include "cri/pods/shim_link.h"
#include "cri/pods/wait.h"
#include "cri/pods/writable_limit.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

constexpr seconds kRollBackLimit{60};
constexpr seconds kCgroupRemovalLimit{10};

// Nothing new begins in the pod from here on; a crash leaves a record that says so.
Status RecordStop(Pods& pods, Pod& pod) {
  std::lock_guard lock(pod.mutex);
  if (pod.state() == SandboxState::kReady) {
    record::PodRecord stopped = pod.record;
    RETURN_IF_ERROR(Advance(stopped, SandboxEvent::kStop));
    stopped.set_reason("Stopped");
    RETURN_IF_ERROR(pods.records().Save(stopped));
    pod.record = std::move(stopped);
  }
  pod.Changed();
  return {};
}

Status WaitForUsers(Pod& pod, const CallContext& call) {
  std::unique_lock lock(pod.mutex);
  auto left = WaitFor(lock, pod.changed, call.deadline, call, [&] { return pod.users == 0; });
  if (!left) return tl::unexpected(std::move(left).error().While("calls that work in the pod"));
  return {};
}

// The caller has the turn.
Status GiveBack(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call) {
  std::vector<std::string> cgroups;
  {
    std::lock_guard lock(pod->mutex);
    if (pod->record.torn_down()) return {};
    cgroups = CgroupsOf(pods, *pod);
  }
  RETURN_IF_ERROR(EndShim(pods, pod, call.deadline));
  SettleContainers(pods, *pod, "its pod was stopped");
  RETURN_IF_ERROR(WaitForUsers(*pod, call));
  TellContainersStopped(pods, pod, call);
  TellSandboxStopped(pods, pod, call);
  if (auto detached = pods.network().Detach(pod->id, call.deadline); !detached)
    return tl::unexpected(std::move(detached).error().While("detach the network"));
  for (const std::string& cgroup : cgroups)
    RETURN_IF_ERROR(
        pods.cgroups().Remove(cgroup, call.deadline.Earlier(Deadline::After(kCgroupRemovalLimit))));
  RunLeftHooks(pods, *pod, call.deadline);
  std::lock_guard lock(pod->mutex);
  record::PodRecord torn_down = pod->record;
  torn_down.set_torn_down(true);
  RETURN_IF_ERROR(pods.records().Save(torn_down));
  pod->record = std::move(torn_down);
  pod->Changed();
  return {};
}

Status RecordRemoval(Pods& pods, Pod& pod) {
  std::lock_guard lock(pod.mutex);
  if (pod.state() == SandboxState::kRemoving) return {};
  record::PodRecord removing = pod.record;
  RETURN_IF_ERROR(Advance(removing, SandboxEvent::kRemove));
  RETURN_IF_ERROR(pods.records().Save(removing));
  pod.record = std::move(removing);
  pod.Changed();
  return {};
}

std::vector<PodTable::Member> ContainersOf(const std::shared_ptr<Pod>& pod) {
  std::lock_guard lock(pod->mutex);
  std::vector<PodTable::Member> members;
  for (const auto& [id, container] : pod->containers) members.push_back({pod, container});
  return members;
}

// The caller has the turn, the pod is torn down and nobody works in it.
Status ErasePod(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call) {
  for (const auto& member : ContainersOf(pod)) {
    {
      ASSIGN_OR_RETURN(const auto turn,
                       Turn::Take(pod, member.container->changing, call.deadline, call));
      TellContainerStopped(pods, member, call);
      TellContainerRemoved(pods, member, call);
    }
    RETURN_IF_ERROR(EraseContainer(pods, member));
  }
  TellSandboxRemoved(pods, pod, call);
  RETURN_IF_ERROR(RemoveTree(pod->data_directory.value()));
  AbortStep();
  RETURN_IF_ERROR(pods.records().RemovePod(pod->id));
  pods.table().Remove(pod->id);
  {
    std::lock_guard lock(pod->mutex);
    pods.events().TellDeleted(*pod);
  }
  // A creation's own name is its creator's to release, together with the reason.
  if (pod->record.published()) pods.pod_names().Release(NameOf(pod->record), pod->id.value());
  return {};
}

bool RunsOrMay(ContainerState state) {
  return state == ContainerState::kRunning || state == ContainerState::kUnknown;
}

// The shim's part of a container, where there is a shim that has one.
Status RemoveFromShim(Pods& pods, const PodTable::Member& member, const CallContext& call) {
  auto in_use = UsePod(pods, member.pod, call);
  if (!in_use) {
    // A pod that is not READY has nothing running; its teardown gives the rest back.
    if (in_use.error().code == ErrorCode::kFailedPrecondition ||
        in_use.error().code == ErrorCode::kUnavailable)
      return {};
    return tl::unexpected(std::move(in_use).error());
  }
  return in_use->shim->RemoveContainer(member.container->id, call.deadline);
}

}  // namespace

HostPath WritableDirectory(const Pod& pod, const ContainerId& container) {
  return pod.data_directory / container.value();
}

Status StopPod(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call) {
  RETURN_IF_ERROR(RecordStop(pods, *pod));
  ASSIGN_OR_RETURN(auto turn, Turn::Take(pod, pod->tearing_down, call.deadline, call));
  return GiveBack(pods, pod, call);
}

Status RemovePod(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call) {
  RETURN_IF_ERROR(RecordStop(pods, *pod));
  ASSIGN_OR_RETURN(auto turn, Turn::Take(pod, pod->tearing_down, call.deadline, call));
  RETURN_IF_ERROR(RecordRemoval(pods, *pod));
  RETURN_IF_ERROR(GiveBack(pods, pod, call));
  RETURN_IF_ERROR(WaitForUsers(*pod, call));
  return ErasePod(pods, pod, call);
}

void DiscardPod(Pods& pods, const std::shared_ptr<Pod>& pod) {
  const CallContext call{.deadline = Deadline::After(kRollBackLimit)};
  if (auto removed = RemovePod(pods, pod, call); !removed)
    pods.Notice({.pod = pod->id.value()}, "roll it back: " + removed.error().message);
}

Status DiscardUnrecorded(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call) {
  const std::string cgroup = WaitingCgroup(pods, pod->id);
  {
    std::lock_guard lock(pod->mutex);
    pod->record.mutable_sandbox()->set_cgroup_path(cgroup);
  }
  RETURN_IF_ERROR(EndShim(pods, pod, call.deadline));
  RETURN_IF_ERROR(pods.cgroups().Remove(cgroup, call.deadline));
  RETURN_IF_ERROR(pods.network().Detach(pod->id, call.deadline));
  RETURN_IF_ERROR(RemoveTree(pod->data_directory.value()));
  AbortStep();
  return pods.records().RemovePod(pod->id);
}

void Sweep(Pods& pods) {
  for (const auto& pod : pods.table().Pods()) {
    bool discarded = false;
    {
      std::lock_guard lock(pod->mutex);
      discarded =
          !pod->record.published() && pod->state() == SandboxState::kRemoving && !pod->tearing_down;
    }
    if (discarded) pods.background().Run([&pods, pod] { DiscardPod(pods, pod); });
  }
}

namespace {

Status RemoveSteps(Pods& pods, const PodTable::Member& member, const CallContext& call) {
  const auto& [pod, container] = member;
  bool runs = false;
  {
    std::lock_guard lock(pod->mutex);
    runs = RunsOrMay(container->state());
  }
  if (runs) RETURN_IF_ERROR(KillAndWait(pods, member, call));
  ASSIGN_OR_RETURN(auto turn, Turn::Take(pod, container->changing, call.deadline, call));
  {
    std::lock_guard lock(pod->mutex);
    if (!pod->containers.contains(container->id.value())) return {};
    record::ContainerRecord removing = container->record;
    RETURN_IF_ERROR(Advance(removing, ContainerEvent::kRemove));
    RETURN_IF_ERROR(pods.records().Save(removing));
    container->record = std::move(removing);
  }
  RETURN_IF_ERROR(RemoveFromShim(pods, member, call));
  TellContainerStopped(pods, member, call);
  TellContainerRemoved(pods, member, call);
  return EraseContainer(pods, member);
}

}  // namespace

Status RemoveContainerOf(Pods& pods, const PodTable::Member& member, const CallContext& call) {
  auto removed = RemoveSteps(pods, member, call);
  // The removal of its pod may have taken it away meanwhile.
  if (!removed && !pods.table().FindContainer(member.container->id.value())) return {};
  return removed;
}

void DiscardContainer(Pods& pods, const PodTable::Member& member) {
  const CallContext call{.deadline = Deadline::After(kRollBackLimit)};
  if (auto removed = RemoveContainerOf(pods, member, call); !removed)
    pods.Notice(AboutOf(member), "roll it back: " + removed.error().message);
}

Status EraseContainer(Pods& pods, const PodTable::Member& member) {
  const auto& [pod, container] = member;
  RETURN_IF_ERROR(pods.images().DropLease(container->id.value()));
  // Whatever the configuration says by now: it may have had a limit when the container was made.
  RETURN_IF_ERROR(ForgetWritableLimit(pods.config().root, container->id));
  RETURN_IF_ERROR(RemoveTree(WritableDirectory(*pod, container->id).value()));
  AbortStep();
  RETURN_IF_ERROR(pods.records().RemoveContainer(pod->id, container->id));
  pods.table().Remove(container->id);
  std::lock_guard lock(pod->mutex);
  if (container->record.published())
    pods.container_names().Release(NameOf(container->record, pod->record), container->id.value());
  pod->containers.erase(container->id.value());
  pods.events().TellDeleted(*pod, *container);
  pod->Changed();
  return {};
}

}  // namespace catamaran

// All that happens when a daemon takes over from the one before, whatever that one was doing when
// it ended: see Pods::Recover.
#include "cri/pods/recovery.h"

#include <algorithm>
#include <set>

#include "cri/base/parallel.h"
#include "cri/pods/identity.h"
#include "cri/pods/nri_events.h"
#include "cri/pods/shim_link.h"
#include "cri/pods/teardown.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

constexpr seconds kSweepLimit{20};
// Enough that a few pods which do not answer hold up nobody, few enough for a small node.
constexpr size_t kParallelPods = 16;
constexpr char kRebooted[] = "NodeRebooted";

using PodList = std::vector<std::shared_ptr<Pod>>;

std::shared_ptr<Pod> Load(Pods& pods, RecordStore::StoredPod stored) {
  auto pod = pods.NewPod(PodId(stored.pod.pod_id()));
  pod->record = std::move(stored.pod);
  if (pod->record.published())
    pods.pod_names().Restore(NameOf(pod->record), pod->id.value(), Fingerprint(pod->record));
  pods.table().Add(pod);
  for (auto& record : stored.containers) {
    auto container = std::make_shared<Container>(ContainerId(record.container_id()), pod->id);
    container->record = std::move(record);
    if (container->record.published())
      pods.container_names().Restore(NameOf(container->record, pod->record), container->id.value(),
                                     Fingerprint(container->record));
    pod->containers[container->id.value()] = container;
    pods.table().Add(pod, container);
  }
  ContainerEvents::MarkTold(*pod);
  MarkKnownToPlugins(*pod);
  return pod;
}

// A record of another boot: nothing of the pod runs, and its ids of processes, groups and
// interfaces mean something else by now, or nothing. It stays listed, NotReady, until removed.
void RetirePod(Pods& pods, Pod& pod) {
  std::lock_guard lock(pod.mutex);
  pod.record.set_boot_id(pods.records().boot_id());
  pod.record.set_reason(kRebooted);
  pod.record.set_message("the node was restarted");
  pod.record.set_torn_down(true);
  (void)Advance(pod.record, SandboxEvent::kLost);
  SaveFact(pods, pod.record);
  for (auto& [id, container] : pod.containers) {
    container->record.set_boot_id(pods.records().boot_id());
    ApplyExit(container->record, UnknownExit("the node was restarted"), /*presumed=*/true);
    SaveFact(pods, container->record);
  }
  pod.Changed();
}

// Containers whose creation or removal the daemon before did not finish.
void FinishContainers(Pods& pods, const std::shared_ptr<Pod>& pod) {
  std::vector<PodTable::Member> unfinished;
  {
    std::lock_guard lock(pod->mutex);
    for (const auto& [id, container] : pod->containers) {
      const ContainerState state = container->state();
      if (!container->record.published() || state == ContainerState::kRemoving)
        unfinished.push_back({pod, container});
    }
  }
  for (const auto& member : unfinished) DiscardContainer(pods, member);
}

void MarkUnreachable(Pods& pods, Pod& pod) {
  std::lock_guard lock(pod.mutex);
  for (auto& [id, container] : pod.containers) {
    if (container->state() == ContainerState::kUnknown) continue;
    if (Advance(container->record, ContainerEvent::kUnreachable)) SaveFact(pods, container->record);
  }
  pod.Changed();
}

void Adopt(Pods& pods, const std::shared_ptr<Pod>& pod, Deadline deadline) {
  const CallContext call{.deadline = deadline};
  if (auto connected = ConnectShim(pods, pod, call); !connected) {
    if (connected.error().code == ErrorCode::kNotFound) return;
    pods.Notice({.pod = pod->id.value()}, connected.error().message);
    MarkUnreachable(pods, *pod);
    return;
  }
  FinishContainers(pods, pod);
}

// What the daemon before had begun to take down, and pods that had lost their shim: all of it.
void FinishPod(Pods& pods, const std::shared_ptr<Pod>& pod, Deadline deadline) {
  const CallContext call{.deadline = deadline};
  SandboxState state;
  {
    std::lock_guard lock(pod->mutex);
    state = pod->state();
  }
  Status finished;
  if (state == SandboxState::kCreating || state == SandboxState::kRemoving)
    finished = RemovePod(pods, pod, call);
  if (state == SandboxState::kNotReady) {
    finished = StopPod(pods, pod, call);
    FinishContainers(pods, pod);
  }
  if (!finished) pods.Notice({.pod = pod->id.value()}, "finish it: " + finished.error().message);
}

// ---- What no record owns ----

void ReportLeak(Pods& pods, const std::string& kind, const std::string& pod, const Status& swept) {
  pods.meters().LeakFound(kind, swept.has_value());
  const std::string what = "its " + kind + ", which no record owns";
  pods.Notice({.pod = pod},
              swept ? "swept " + what : "sweep " + what + ": " + swept.error().message);
}

Status SweepCgroups(Pods& pods, const CallContext& call) {
  const auto is_known = [&](const std::string& pod) {
    return pods.table().FindPod(pod) != nullptr;
  };
  ASSIGN_OR_RETURN(const auto groups, pods.cgroups().FindPods(is_known, call.deadline));
  for (const auto& [pod, path] : groups) {
    auto swept = pods.cgroups().Kill(path, call.deadline);
    if (swept) swept = pods.cgroups().Remove(path, call.deadline);
    ReportLeak(pods, "cgroup", pod, swept);
  }
  return {};
}

Status SweepData(Pods& pods) {
  const HostPath folder = pods.config().root / "pods";
  if (!Exists(folder.value())) return {};
  ASSIGN_OR_RETURN(const auto names, ListDirectory(folder.value()));
  for (const auto& name : names) {
    auto pod = pods.table().FindPod(name);
    if (!pod) {
      ReportLeak(pods, "data", name, RemoveTree((folder / name).value()));
      AbortStep();
    }
  }
  return {};
}

Status SweepNetworkAndLeases(Pods& pods, const CallContext& call) {
  std::vector<PodId> attached;
  std::vector<std::string> holders;
  for (const auto& pod : pods.table().Pods()) {
    std::lock_guard lock(pod->mutex);
    if (pod->record.torn_down()) continue;
    attached.push_back(pod->id);
  }
  for (const auto& pod : pods.table().Pods()) {
    std::lock_guard lock(pod->mutex);
    // Of another boot: nothing of it will ever be mounted again.
    if (pod->record.reason() == kRebooted) continue;
    for (const auto& [id, container] : pod->containers) holders.push_back(id);
  }
  auto detached = pods.network().DetachExcept(attached, call.deadline);
  RETURN_IF_ERROR(pods.images().DropLeasesExcept(holders));
  return detached;
}

}  // namespace

void AdoptPods(Pods& pods, Deadline deadline) {
  PodList unconnected;
  for (const auto& pod : pods.table().Pods()) {
    std::lock_guard lock(pod->mutex);
    if (pod->state() == SandboxState::kReady && !pod->shim) unconnected.push_back(pod);
  }
  ForEachInParallel(unconnected, kParallelPods,
                    [&](const std::shared_ptr<Pod>& pod) { Adopt(pods, pod, deadline); });
}

Status Pods::Recover(Deadline deadline) {
  const CallContext call{.deadline = deadline.Earlier(Deadline::After(kSweepLimit))};
  RETURN_IF_ERROR(MakeDirectories((config_.root / "pods").value()));
  RETURN_IF_ERROR(MakeDirectories((config_.run / "pods").value()));
  RETURN_IF_ERROR(parts_.cgroups.Make(config_.cgroup_root));
  ASSIGN_OR_RETURN(RecordStore::Stored stored, records_.LoadAll());
  PodList all;
  for (auto& entry : stored.pods) all.push_back(Load(*this, std::move(entry)));
  for (const auto& pod : all) {
    if (pod->record.boot_id() != records_.boot_id()) RetirePod(*this, *pod);
  }
  AdoptPods(*this, call.deadline);
  // Lost pods are ended in the background: the lists shall tell the truth when this returns.
  background_.Drain();
  ForEachInParallel(all, kParallelPods,
                    [&](const std::shared_ptr<Pod>& pod) { FinishPod(*this, pod, call.deadline); });
  // A shim may still live in what has no record (a machine that waited for its pod), or one that is
  // damaged or of a newer format.
  const auto sweep = [&](const char* kind, const std::vector<std::string>& folders) {
    ForEachInParallel(folders, kParallelPods, [&](const std::string& name) {
      ReportLeak(*this, kind, name, DiscardUnrecorded(*this, NewPod(PodId(name)), call));
    });
  };
  sweep("machine", stored.without_record);
  sweep("folder", stored.unreadable);
  const auto report = [this](const char* what, const Status& swept) {
    if (!swept) Notice(fmt::format("sweep {}: {}", what, swept.error().message));
  };
  report("cgroups", SweepCgroups(*this, call));
  report("data", SweepData(*this));
  report("networks and leases", SweepNetworkAndLeases(*this, call));
  KeepTemplates();
  StartJanitor();
  pool_.Start();
  return {};
}

}  // namespace catamaran

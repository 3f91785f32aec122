#include "cri/pods/reconcile.h"

#include <set>

#include "cri/pods/shim_link.h"

namespace catamaran {
namespace {

// True where the record changed.
bool TakeOver(record::ContainerRecord& record, const spec::ContainerStatus& status) {
  const std::string before = record.SerializeAsString();
  if (status.has_user()) *record.mutable_user() = status.user();
  if (status.started_at_ns() != 0) record.set_started_at_ns(status.started_at_ns());
  switch (status.state()) {
    case spec::CREATED:
      (void)Advance(record, ContainerEvent::kCreated);
      break;
    case spec::RUNNING:
      (void)Advance(record, ContainerEvent::kStarted);
      break;
    default:
      ApplyExit(record, status.exit(), /*presumed=*/false);
  }
  if (static_cast<ContainerState>(record.state()) != ContainerState::kExited)
    record.set_pid(status.pid());
  return record.SerializeAsString() != before;
}

}  // namespace

std::vector<ContainerId> Reconcile(Pods& pods, Pod& pod, const pod::ListResponse& list) {
  std::vector<ContainerId> strangers;
  std::set<std::string> known;
  std::lock_guard lock(pod.mutex);
  for (const spec::ContainerStatus& status : list.containers()) {
    known.insert(status.container_id());
    auto found = pod.containers.find(status.container_id());
    if (found == pod.containers.end()) {
      strangers.emplace_back(status.container_id());
    } else if (found->second->state() != ContainerState::kCreating &&
               TakeOver(found->second->record, status)) {
      SaveFact(pods, found->second->record);
    }
  }
  for (auto& [id, container] : pod.containers) {
    const ContainerState state = container->state();
    if (known.contains(id) || state == ContainerState::kCreating ||
        state == ContainerState::kRemoving)
      continue;
    if (ApplyExit(container->record, UnknownExit("its shim does not know it"), /*presumed=*/true))
      SaveFact(pods, container->record);
  }
  pod.Changed();
  return strangers;
}

}  // namespace catamaran

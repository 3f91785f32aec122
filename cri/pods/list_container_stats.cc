#include "cri/pods/cri_view.h"
#include "cri/pods/operations.h"
#include "cri/pods/stats_view.h"

namespace catamaran {
namespace {

bool Matches(const v1::ContainerStatsFilter& filter, const Container& container) {
  return container.state() == ContainerState::kRunning &&
         MatchesId(filter.id(), container.id.value()) &&
         MatchesId(filter.pod_sandbox_id(), container.pod.value()) &&
         MatchesLabels(filter.label_selector(), container.record.config().labels());
}

bool HasMatch(const v1::ContainerStatsFilter& filter, Pod& pod) {
  std::lock_guard lock(pod.mutex);
  for (const auto& [id, container] : pod.containers) {
    if (Matches(filter, *container)) return true;
  }
  return false;
}

}  // namespace

Result<v1::ListContainerStatsResponse> ListContainerStats(
    const v1::ListContainerStatsRequest& request, const CallContext& call, Pods& pods) {
  std::vector<std::shared_ptr<Pod>> matching;
  for (const auto& pod : pods.table().Pods()) {
    if (HasMatch(request.filter(), *pod)) matching.push_back(pod);
  }
  RefreshStats(matching, call);
  v1::ListContainerStatsResponse response;
  for (const auto& pod : matching) {
    std::lock_guard lock(pod->mutex);
    if (!pod->usage.last) continue;
    for (const auto& [id, container] : pod->containers) {
      if (Matches(request.filter(), *container))
        *response.add_stats() = ContainerStatsOf(pods, *container, *pod->usage.last);
    }
  }
  return response;
}

}  // namespace catamaran

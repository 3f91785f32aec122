#include "cri/pods/cri_view.h"
#include "cri/pods/operations.h"
#include "cri/pods/stats_view.h"

namespace catamaran {
namespace {

bool Matches(const v1::PodSandboxStatsFilter& filter, Pod& pod) {
  std::lock_guard lock(pod.mutex);
  return pod.state() == SandboxState::kReady && MatchesId(filter.id(), pod.id.value()) &&
         MatchesLabels(filter.label_selector(), pod.record.config().labels());
}

}  // namespace

Result<v1::ListPodSandboxStatsResponse> ListPodSandboxStats(
    const v1::ListPodSandboxStatsRequest& request, const CallContext& call, Pods& pods) {
  std::vector<std::shared_ptr<Pod>> matching;
  for (const auto& pod : pods.table().Pods()) {
    if (Matches(request.filter(), *pod)) matching.push_back(pod);
  }
  RefreshStats(matching, call);
  v1::ListPodSandboxStatsResponse response;
  for (const auto& pod : matching) {
    std::lock_guard lock(pod->mutex);
    if (pod->usage.last) *response.add_stats() = SandboxStatsOf(pods, *pod, *pod->usage.last);
  }
  return response;
}

}  // namespace catamaran

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

// Of those the shims have been asked.
std::vector<std::shared_ptr<Pod>> Ask(const v1::ContainerStatsFilter& filter,
                                      const CallContext& call, Pods& pods) {
  std::vector<std::shared_ptr<Pod>> matching;
  for (const auto& pod : pods.table().Pods()) {
    if (HasMatch(filter, *pod)) matching.push_back(pod);
  }
  RefreshStats(matching, pod::StatsRequest::CONTAINERS, call);
  return matching;
}

std::vector<v1::ContainerStats> MatchingStats(const v1::ContainerStatsFilter& filter, Pods& pods,
                                              Pod& pod) {
  std::vector<v1::ContainerStats> stats;
  std::lock_guard lock(pod.mutex);
  const auto& last = pod.usage[pod::StatsRequest::CONTAINERS].last;
  if (!last) return stats;
  for (const auto& [id, container] : pod.containers) {
    if (Matches(filter, *container)) stats.push_back(ContainerStatsOf(pods, *container, *last));
  }
  return stats;
}

}  // namespace

Result<v1::ListContainerStatsResponse> ListContainerStats(
    const v1::ListContainerStatsRequest& request, const CallContext& call, Pods& pods) {
  v1::ListContainerStatsResponse response;
  for (const auto& pod : Ask(request.filter(), call, pods)) {
    for (v1::ContainerStats& stats : MatchingStats(request.filter(), pods, *pod))
      *response.add_stats() = std::move(stats);
  }
  return response;
}

Status StreamContainerStats(const v1::StreamContainerStatsRequest& request, const CallContext& call,
                            Pods& pods,
                            const StreamWriter<v1::StreamContainerStatsResponse>& writer) {
  StreamBatch batch(writer);
  for (const auto& pod : Ask(request.filter(), call, pods)) {
    for (v1::ContainerStats& stats : MatchingStats(request.filter(), pods, *pod)) {
      const size_t bytes = stats.ByteSizeLong();
      *batch.message().add_container_stats() = std::move(stats);
      RETURN_IF_ERROR(batch.Added(bytes));
    }
  }
  return batch.Send();
}

}  // namespace catamaran

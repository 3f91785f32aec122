#include <optional>

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

// Of those the shims have been asked.
std::vector<std::shared_ptr<Pod>> Ask(const v1::PodSandboxStatsFilter& filter,
                                      const CallContext& call, Pods& pods) {
  std::vector<std::shared_ptr<Pod>> matching;
  for (const auto& pod : pods.table().Pods()) {
    if (Matches(filter, *pod)) matching.push_back(pod);
  }
  RefreshStats(matching, pod::StatsRequest::SANDBOX, call);
  return matching;
}

std::optional<v1::PodSandboxStats> LastStats(Pods& pods, Pod& pod) {
  std::lock_guard lock(pod.mutex);
  const auto& last = pod.usage[pod::StatsRequest::SANDBOX].last;
  if (!last) return std::nullopt;
  return SandboxStatsOf(pods, pod, *last);
}

}  // namespace

Result<v1::ListPodSandboxStatsResponse> ListPodSandboxStats(
    const v1::ListPodSandboxStatsRequest& request, const CallContext& call, Pods& pods) {
  v1::ListPodSandboxStatsResponse response;
  for (const auto& pod : Ask(request.filter(), call, pods)) {
    if (auto stats = LastStats(pods, *pod)) *response.add_stats() = std::move(*stats);
  }
  return response;
}

Status StreamPodSandboxStats(const v1::StreamPodSandboxStatsRequest& request,
                             const CallContext& call, Pods& pods,
                             const StreamWriter<v1::StreamPodSandboxStatsResponse>& writer) {
  StreamBatch batch(writer);
  for (const auto& pod : Ask(request.filter(), call, pods)) {
    auto stats = LastStats(pods, *pod);
    if (!stats) continue;
    const size_t bytes = stats->ByteSizeLong();
    *batch.message().add_pod_sandbox_stats() = std::move(*stats);
    RETURN_IF_ERROR(batch.Added(bytes));
  }
  return batch.Send();
}

}  // namespace catamaran

#include "cri/pods/cri_view.h"
#include "cri/pods/operations.h"
#include "cri/pods/parallel.h"
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
  CallContext bounded = call;
  bounded.deadline = call.deadline.Earlier(Deadline::After(kStatsLimit));
  std::mutex mutex;
  v1::ListPodSandboxStatsResponse response;
  ForEachInParallel(pods.table().Pods(), [&](const std::shared_ptr<Pod>& pod) {
    if (!Matches(request.filter(), *pod)) return;
    auto stats = ReadStats(pods, pod, bounded);
    if (!stats) return;
    std::scoped_lock locks(pod->mutex, mutex);
    *response.add_stats() = SandboxStatsOf(pods, *pod, *stats);
  });
  return response;
}

}  // namespace catamaran

#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/stats_view.h"

namespace catamaran {

Result<v1::PodSandboxStatsResponse> PodSandboxStats(const v1::PodSandboxStatsRequest& request,
                                                    const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(auto pod, RequirePod(pods, "pod_sandbox_id", request.pod_sandbox_id()));
  ASSIGN_OR_RETURN(const spec::SandboxStats stats,
                   ReadStats(pods, pod, pod::StatsRequest::SANDBOX, call));
  std::lock_guard lock(pod->mutex);
  v1::PodSandboxStatsResponse response;
  *response.mutable_stats() = SandboxStatsOf(pods, *pod, stats);
  return response;
}

}  // namespace catamaran

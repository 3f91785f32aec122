#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/stats_view.h"

namespace catamaran {

Result<v1::ContainerStatsResponse> ContainerStats(const v1::ContainerStatsRequest& request,
                                                  const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  ASSIGN_OR_RETURN(const spec::SandboxStats stats,
                   ReadStats(pods, member.pod, pod::StatsRequest::CONTAINERS, call));
  std::lock_guard lock(member.pod->mutex);
  v1::ContainerStatsResponse response;
  *response.mutable_stats() = ContainerStatsOf(pods, *member.container, stats);
  return response;
}

}  // namespace catamaran

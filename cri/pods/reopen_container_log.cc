#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"

namespace catamaran {

Result<v1::ReopenContainerLogResponse> ReopenContainerLog(
    const v1::ReopenContainerLogRequest& request, const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  RETURN_IF_ERROR(RequireRunning(member, "only the log of a running one is open"));
  ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods, member.pod, call));
  RETURN_IF_ERROR(in_use.shim->ReopenLog(member.container->id, call.deadline));
  return v1::ReopenContainerLogResponse();
}

}  // namespace catamaran

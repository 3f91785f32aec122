#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"

namespace catamaran {

Result<v1::ReopenContainerLogResponse> ReopenContainerLog(
    const v1::ReopenContainerLogRequest& request, const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  {
    std::lock_guard lock(member.pod->mutex);
    if (member.container->state() != ContainerState::kRunning) {
      return Fail(ErrorCode::kFailedPrecondition,
                  "container {} is {}: only the log of a running one is open",
                  member.container->id.value(), Name(member.container->state()));
    }
  }
  ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods, member.pod, call));
  RETURN_IF_ERROR(in_use.shim->ReopenLog(member.container->id, call.deadline));
  return v1::ReopenContainerLogResponse();
}

}  // namespace catamaran

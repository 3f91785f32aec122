#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/teardown.h"

namespace catamaran {

Result<v1::RemoveContainerResponse> RemoveContainer(const v1::RemoveContainerRequest& request,
                                                    const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(const auto member, FindContainer(pods, "container_id", request.container_id()));
  if (member) RETURN_IF_ERROR(RemoveContainerOf(pods, member, call));
  return v1::RemoveContainerResponse();
}

}  // namespace catamaran

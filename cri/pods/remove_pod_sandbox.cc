#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/teardown.h"

namespace catamaran {

Result<v1::RemovePodSandboxResponse> RemovePodSandbox(const v1::RemovePodSandboxRequest& request,
                                                      const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(auto pod, FindPod(pods, "pod_sandbox_id", request.pod_sandbox_id()));
  if (pod) RETURN_IF_ERROR(RemovePod(pods, pod, call));
  return v1::RemovePodSandboxResponse();
}

}  // namespace catamaran

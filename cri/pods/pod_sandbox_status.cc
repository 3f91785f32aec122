#include "cri/pods/cri_view.h"
#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"

namespace catamaran {

Result<v1::PodSandboxStatusResponse> PodSandboxStatus(const v1::PodSandboxStatusRequest& request,
                                                      const CallContext&, Pods& pods) {
  ASSIGN_OR_RETURN(auto pod, RequirePod(pods, "pod_sandbox_id", request.pod_sandbox_id()));
  std::lock_guard lock(pod->mutex);
  v1::PodSandboxStatusResponse response;
  *response.mutable_status() = SandboxStatus(pod->record);
  for (const auto& [id, container] : pod->containers) {
    if (container->record.published())
      *response.add_containers_statuses() = ContainerStatusOf(container->record);
  }
  // Without a timestamp, though KEP-3386 has one: a kubelet with the EventedPLEG gate takes a
  // status that has it in place of its own ContainerStatus calls and then knows of no container
  // that it belongs to the present sandbox (1.37, GetPodStatus in kuberuntime_manager.go), so it
  // starts init containers again without end.
  if (request.verbose()) {
    for (auto& [key, value] : SandboxInfo(*pod)) (*response.mutable_info())[key] = value;
  }
  return response;
}

}  // namespace catamaran

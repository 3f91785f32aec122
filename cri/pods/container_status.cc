#include "cri/pods/cri_view.h"
#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"

namespace catamaran {

Result<v1::ContainerStatusResponse> ContainerStatus(const v1::ContainerStatusRequest& request,
                                                    const CallContext&, Pods& pods) {
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  std::lock_guard lock(member.pod->mutex);
  v1::ContainerStatusResponse response;
  *response.mutable_status() = ContainerStatusOf(member.container->record);
  if (request.verbose()) {
    for (auto& [key, value] : ContainerInfo(*member.container))
      (*response.mutable_info())[key] = value;
  }
  return response;
}

}  // namespace catamaran

#include "cri/pods/cri_view.h"
#include "cri/pods/operations.h"

namespace catamaran {
namespace {

bool Matches(const v1::ContainerFilter& filter, const v1::Container& item) {
  return MatchesId(filter.id(), item.id()) &&
         MatchesId(filter.pod_sandbox_id(), item.pod_sandbox_id()) &&
         (!filter.has_state() || filter.state().state() == item.state()) &&
         MatchesLabels(filter.label_selector(), item.labels());
}

}  // namespace

Result<v1::ListContainersResponse> ListContainers(const v1::ListContainersRequest& request,
                                                  const CallContext&, Pods& pods) {
  v1::ListContainersResponse response;
  for (const auto& pod : pods.table().Pods()) {
    std::lock_guard lock(pod->mutex);
    for (const auto& [id, container] : pod->containers) {
      if (!container->record.published()) continue;
      v1::Container item = ContainerItem(container->record);
      if (Matches(request.filter(), item)) *response.add_containers() = std::move(item);
    }
  }
  return response;
}

}  // namespace catamaran

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

std::vector<v1::Container> MatchingItems(Pod& pod, const v1::ContainerFilter& filter) {
  std::vector<v1::Container> items;
  std::lock_guard lock(pod.mutex);
  for (const auto& [id, container] : pod.containers) {
    if (!container->record.published()) continue;
    v1::Container item = ContainerItem(container->record);
    if (Matches(filter, item)) items.push_back(std::move(item));
  }
  return items;
}

}  // namespace

Result<v1::ListContainersResponse> ListContainers(const v1::ListContainersRequest& request,
                                                  const CallContext&, Pods& pods) {
  v1::ListContainersResponse response;
  for (const auto& pod : pods.table().Pods()) {
    for (v1::Container& item : MatchingItems(*pod, request.filter()))
      *response.add_containers() = std::move(item);
  }
  return response;
}

Status StreamContainers(const v1::StreamContainersRequest& request, const CallContext&, Pods& pods,
                        const StreamWriter<v1::StreamContainersResponse>& writer) {
  StreamBatch batch(writer);
  for (const auto& pod : pods.table().Pods()) {
    for (v1::Container& item : MatchingItems(*pod, request.filter())) {
      const size_t bytes = item.ByteSizeLong();
      *batch.message().add_containers() = std::move(item);
      RETURN_IF_ERROR(batch.Added(bytes));
    }
  }
  return batch.Send();
}

}  // namespace catamaran

#include <optional>

#include "cri/pods/cri_view.h"
#include "cri/pods/operations.h"

namespace catamaran {
namespace {

std::optional<v1::PodSandbox> MatchingItem(Pod& pod, const v1::PodSandboxFilter& filter) {
  std::lock_guard lock(pod.mutex);
  if (!pod.record.published()) return std::nullopt;
  v1::PodSandbox item = SandboxItem(pod.record);
  if (!MatchesId(filter.id(), item.id()) ||
      (filter.has_state() && filter.state().state() != item.state()) ||
      !MatchesLabels(filter.label_selector(), item.labels()))
    return std::nullopt;
  return item;
}

}  // namespace

Result<v1::ListPodSandboxResponse> ListPodSandbox(const v1::ListPodSandboxRequest& request,
                                                  const CallContext&, Pods& pods) {
  v1::ListPodSandboxResponse response;
  for (const auto& pod : pods.table().Pods()) {
    if (auto item = MatchingItem(*pod, request.filter())) *response.add_items() = std::move(*item);
  }
  return response;
}

Status StreamPodSandboxes(const v1::StreamPodSandboxesRequest& request, const CallContext&,
                          Pods& pods, const StreamWriter<v1::StreamPodSandboxesResponse>& writer) {
  StreamBatch batch(writer);
  for (const auto& pod : pods.table().Pods()) {
    auto item = MatchingItem(*pod, request.filter());
    if (!item) continue;
    const size_t bytes = item->ByteSizeLong();
    *batch.message().add_pod_sandboxes() = std::move(*item);
    RETURN_IF_ERROR(batch.Added(bytes));
  }
  return batch.Send();
}

}  // namespace catamaran

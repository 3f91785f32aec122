#include "cri/pods/cri_view.h"
#include "cri/pods/operations.h"

namespace catamaran {
namespace {

bool Matches(const v1::PodSandboxFilter& filter, const v1::PodSandbox& item) {
  return MatchesId(filter.id(), item.id()) &&
         (!filter.has_state() || filter.state().state() == item.state()) &&
         MatchesLabels(filter.label_selector(), item.labels());
}

}  // namespace

Result<v1::ListPodSandboxResponse> ListPodSandbox(const v1::ListPodSandboxRequest& request,
                                                  const CallContext&, Pods& pods) {
  v1::ListPodSandboxResponse response;
  for (const auto& pod : pods.table().Pods()) {
    std::lock_guard lock(pod->mutex);
    if (!pod->record.published()) continue;
    v1::PodSandbox item = SandboxItem(pod->record);
    if (Matches(request.filter(), item)) *response.add_items() = std::move(item);
  }
  return response;
}

}  // namespace catamaran

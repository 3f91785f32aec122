#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"
#include "cri/translate/host_facts.h"
#include "cri/translate/translate.h"

namespace catamaran {
namespace {

Result<spec::Resources> Translate(const v1::UpdateContainerResourcesRequest& request, Pod& pod,
                                  Pods& pods) {
  std::string handler_name;
  {
    std::lock_guard lock(pod.mutex);
    handler_name = pod.record.handler();
  }
  ASSIGN_OR_RETURN(const HandlerConfig* handler, pods.FindHandler(handler_name));
  ASSIGN_OR_RETURN(const HostFacts host, HostFacts::Read());
  return TranslateResources(request.linux(), "linux", *handler, host);
}

bool HasProcess(const PodTable::Member& member) {
  std::lock_guard lock(member.pod->mutex);
  const ContainerState state = member.container->state();
  return state == ContainerState::kCreated || state == ContainerState::kRunning ||
         state == ContainerState::kUnknown;
}

}  // namespace

Result<v1::UpdateContainerResourcesResponse> UpdateContainerResources(
    const v1::UpdateContainerResourcesRequest& request, const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  ASSIGN_OR_RETURN(const spec::Resources resources, Translate(request, *member.pod, pods));
  ASSIGN_OR_RETURN(auto turn,
                   Turn::Take(member.pod, member.container->changing, call.deadline, call));
  if (HasProcess(member)) {
    ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods, member.pod, call));
    pod::UpdateResourcesRequest update;
    update.set_container_id(member.container->id.value());
    *update.mutable_resources() = resources;
    auto updated = in_use.shim->UpdateResources(update, call.deadline);
    // One that has ended meanwhile needs no limits.
    if (!updated && HasProcess(member)) return tl::unexpected(std::move(updated).error());
  }
  std::lock_guard lock(member.pod->mutex);
  if (member.container->state() == ContainerState::kRemoving) {
    return Fail(ErrorCode::kFailedPrecondition, "container {} is being removed",
                member.container->id.value());
  }
  record::ContainerRecord merged = member.container->record;
  MergeResources(request.linux(), merged.mutable_resources());
  RETURN_IF_ERROR(pods.records().Save(merged));
  member.container->record = std::move(merged);
  return v1::UpdateContainerResourcesResponse();
}

}  // namespace catamaran

#include <algorithm>
#include <iterator>

#include "cri/nri/apply_adjustment.h"
#include "cri/nri/describe.h"
#include "cri/pods/lookup.h"
#include "cri/pods/nri_events.h"
#include "cri/pods/nri_updates.h"
#include "cri/pods/nri_view.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"
#include "cri/translate/fields.h"
#include "cri/translate/host_facts.h"
#include "cri/translate/translate.h"

namespace catamaran {
namespace {

Result<spec::Resources> Translate(const runtime::v1::LinuxContainerResources& wanted, Pod& pod,
                                  Pods& pods) {
  std::string handler_name;
  {
    std::lock_guard lock(pod.mutex);
    handler_name = pod.record.handler();
  }
  ASSIGN_OR_RETURN(const HandlerConfig* handler, pods.FindHandler(handler_name));
  ASSIGN_OR_RETURN(const HostFacts host, HostFacts::Read());
  return TranslateResources(wanted, "linux", *handler, host);
}

bool HasProcess(const PodTable::Member& member) {
  std::lock_guard lock(member.pod->mutex);
  const ContainerState state = member.container->state();
  return state == ContainerState::kCreated || state == ContainerState::kRunning ||
         state == ContainerState::kUnknown;
}

Status SendUpdate(Pods& pods, const PodTable::Member& member, const spec::Resources& resources,
                  const CallContext& call) {
  if (!HasProcess(member)) return {};
  ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods, member.pod, call));
  pod::UpdateResourcesRequest update;
  update.set_container_id(member.container->id.value());
  *update.mutable_resources() = resources;
  auto updated = in_use.shim->UpdateResources(update, call.deadline);
  // One that has ended meanwhile needs no limits.
  if (!updated && HasProcess(member)) return tl::unexpected(std::move(updated).error());
  return {};
}

nri::UpdateContainerRequest NriRequest(const PodTable::Member& member,
                                       const runtime::v1::LinuxContainerResources& wanted) {
  nri::UpdateContainerRequest request;
  std::lock_guard lock(member.pod->mutex);
  *request.mutable_pod() = NriPod(member.pod->record);
  *request.mutable_container() = NriContainer(member.container->record);
  *request.mutable_linux_resources() = DescribeResources(wanted);
  return request;
}

// What plugins want of the container itself goes over the request; what they want of others is
// left in `answers`.
Result<PluginAnswers> UpdateWithPlugins(Pods& pods, const PodTable::Member& member,
                                        const runtime::v1::LinuxContainerResources& wanted,
                                        const CallContext& call) {
  const std::string& id = member.container->id.value();
  ASSIGN_OR_RETURN(PluginAnswers answers,
                   pods.nri().UpdateContainer(NriRequest(member, wanted), call.deadline));
  runtime::v1::LinuxContainerResources merged = wanted;
  int64_t pids_limit = 0;
  for (const nri::ContainerUpdate& update : answers.updates()) {
    if (update.container_id() != id) continue;
    ASSIGN_OR_RETURN(const NriResourceUpdate own,
                     ReadNriResources(update.linux().resources(), "linux.resources"));
    MergeResources(own.resources, &merged);
    pids_limit = own.pids_limit;
  }
  RETURN_IF_ERROR(UpdateResourcesOf(pods, member, merged, pids_limit, call));
  return answers;
}

}  // namespace

Status UpdateResourcesOf(Pods& pods, const PodTable::Member& member,
                         const runtime::v1::LinuxContainerResources& wanted, int64_t pids_limit,
                         const CallContext& call) {
  ASSIGN_OR_RETURN(spec::Resources resources, Translate(wanted, *member.pod, pods));
  if (pids_limit != 0) resources.set_pids_limit(pids_limit);
  RETURN_IF_ERROR(SendUpdate(pods, member, resources, call));
  std::lock_guard lock(member.pod->mutex);
  if (member.container->state() == ContainerState::kRemoving) {
    return Fail(ErrorCode::kFailedPrecondition, "container {} is being removed",
                member.container->id.value());
  }
  record::ContainerRecord merged = member.container->record;
  MergeResources(wanted, merged.mutable_resources());
  RETURN_IF_ERROR(pods.records().Save(merged));
  member.container->record = std::move(merged);
  return {};
}

Result<v1::UpdateContainerResourcesResponse> UpdateContainerResources(
    const v1::UpdateContainerResourcesRequest& request, const CallContext& call, Pods& pods) {
  if (request.has_windows()) return UnsupportedField("windows", "containers are Linux only");
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  RETURN_IF_ERROR(Translate(request.linux(), *member.pod, pods));
  std::vector<nri::ContainerUpdate> others;
  std::vector<nri::ContainerEviction> evictions;
  {
    ASSIGN_OR_RETURN(auto turn,
                     Turn::Take(member.pod, member.container->changing, call.deadline, call));
    ASSIGN_OR_RETURN(const PluginAnswers answers,
                     UpdateWithPlugins(pods, member, request.linux(), call));
    std::copy_if(answers.updates().begin(), answers.updates().end(), std::back_inserter(others),
                 [&](const nri::ContainerUpdate& update) {
                   return update.container_id() != member.container->id.value();
                 });
    evictions = answers.evictions();
    TellContainerChanged(pods, nri::POST_UPDATE_CONTAINER, member, call);
  }
  // Without the Turn: two calls that update each other's container would wait for each other.
  RETURN_IF_ERROR(CarryOutForPlugins(pods, others, evictions, call));
  return v1::UpdateContainerResourcesResponse();
}

}  // namespace catamaran

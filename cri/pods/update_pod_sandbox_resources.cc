// KEP-5419: the kubelet tells of new limits of a pod as a whole, and writes its own group only
// where that was accepted.
#include "cri/pods/lookup.h"
#include "cri/pods/nri_events.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"
#include "cri/translate/host_facts.h"
#include "cri/translate/translate.h"

namespace catamaran {
namespace {

// The kubelet names what the pod's group has now, less the pod's overhead. Where it has no memory
// limit that is a number next to 2^63 (cgroup v1) or below zero (v2), and where it has no quota,
// one below -1.
void ForgetMissingLimits(v1::LinuxContainerResources* resources) {
  constexpr int64_t kNoLimit = int64_t{1} << 62;
  const int64_t memory = resources->memory_limit_in_bytes();
  if (memory < 0 || memory >= kNoLimit) resources->clear_memory_limit_in_bytes();
  if (resources->cpu_quota() < 0) resources->set_cpu_quota(-1);
}

Result<spec::Resources> Translate(const v1::LinuxContainerResources& asked,
                                  const std::string& field, const HandlerConfig& handler,
                                  const HostFacts& host) {
  ASSIGN_OR_RETURN(auto resources, TranslateResources(asked, field, handler, host));
  // Without a word on swap a container has none; a pod leaves it to its containers.
  if (asked.memory_swap_limit_in_bytes() == 0) resources.clear_memory_swap_limit_bytes();
  return resources;
}

Result<pod::UpdateResourcesRequest> Translate(const v1::UpdatePodSandboxResourcesRequest& request,
                                              Pod& pod, Pods& pods) {
  std::string handler_name;
  {
    std::lock_guard lock(pod.mutex);
    handler_name = pod.record.handler();
  }
  ASSIGN_OR_RETURN(const HandlerConfig* handler, pods.FindHandler(handler_name));
  ASSIGN_OR_RETURN(const HostFacts host, HostFacts::Read());
  pod::UpdateResourcesRequest update;
  ASSIGN_OR_RETURN(*update.mutable_resources(),
                   Translate(request.resources(), "resources", *handler, host));
  ASSIGN_OR_RETURN(*update.mutable_overhead(),
                   Translate(request.overhead(), "overhead", *handler, host));
  return update;
}

}  // namespace

Result<v1::UpdatePodSandboxResourcesResponse> UpdatePodSandboxResources(
    const v1::UpdatePodSandboxResourcesRequest& asked, const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(auto pod, RequirePod(pods, "pod_sandbox_id", asked.pod_sandbox_id()));
  v1::UpdatePodSandboxResourcesRequest request = asked;
  if (request.has_resources()) ForgetMissingLimits(request.mutable_resources());
  ASSIGN_OR_RETURN(const auto update, Translate(request, *pod, pods));
  ASSIGN_OR_RETURN(auto turn, Turn::Take(pod, pod->resizing, call.deadline, call));
  ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods, pod, call));
  RETURN_IF_ERROR(TellSandboxUpdate(pods, *pod, request, call));
  RETURN_IF_ERROR(in_use.shim->UpdateResources(update, call.deadline));
  {
    std::lock_guard lock(pod->mutex);
    record::PodRecord merged = pod->record;
    MergeResources(request.resources(), merged.mutable_resources());
    MergeResources(request.overhead(), merged.mutable_overhead());
    RETURN_IF_ERROR(pods.records().Save(merged));
    pod->record = std::move(merged);
  }
  TellSandboxUpdated(pods, *pod, call);
  return v1::UpdatePodSandboxResourcesResponse();
}

}  // namespace catamaran

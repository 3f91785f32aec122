#pragma once

#include "cri/api/runtime.pb.h"
#include "cri/pods/pods.h"
#include "cri/service/call_context.h"
#include "cri/service/stream_writer.h"
#include "cri/streaming/streaming_server.h"
#include "sandbox/base/result.h"

namespace catamaran {

// The calls of RuntimeService that concern pods and containers, one function and one file each.
// They block until done or until the caller's deadline, may be called from any number of threads,
// and validate what they are given. Semantics: the comments of cri/api/runtime.proto.

namespace v1 = ::runtime::v1;

Result<v1::RunPodSandboxResponse> RunPodSandbox(const v1::RunPodSandboxRequest& request,
                                                const CallContext& call, Pods& pods);
Result<v1::StopPodSandboxResponse> StopPodSandbox(const v1::StopPodSandboxRequest& request,
                                                  const CallContext& call, Pods& pods);
Result<v1::RemovePodSandboxResponse> RemovePodSandbox(const v1::RemovePodSandboxRequest& request,
                                                      const CallContext& call, Pods& pods);
Result<v1::PodSandboxStatusResponse> PodSandboxStatus(const v1::PodSandboxStatusRequest& request,
                                                      const CallContext& call, Pods& pods);
Result<v1::ListPodSandboxResponse> ListPodSandbox(const v1::ListPodSandboxRequest& request,
                                                  const CallContext& call, Pods& pods);
Result<v1::PodSandboxStatsResponse> PodSandboxStats(const v1::PodSandboxStatsRequest& request,
                                                    const CallContext& call, Pods& pods);
Result<v1::ListPodSandboxStatsResponse> ListPodSandboxStats(
    const v1::ListPodSandboxStatsRequest& request, const CallContext& call, Pods& pods);

Result<v1::CreateContainerResponse> CreateContainer(const v1::CreateContainerRequest& request,
                                                    const CallContext& call, Pods& pods);
Result<v1::StartContainerResponse> StartContainer(const v1::StartContainerRequest& request,
                                                  const CallContext& call, Pods& pods);
Result<v1::StopContainerResponse> StopContainer(const v1::StopContainerRequest& request,
                                                const CallContext& call, Pods& pods);
Result<v1::RemoveContainerResponse> RemoveContainer(const v1::RemoveContainerRequest& request,
                                                    const CallContext& call, Pods& pods);
Result<v1::ContainerStatusResponse> ContainerStatus(const v1::ContainerStatusRequest& request,
                                                    const CallContext& call, Pods& pods);
Result<v1::ListContainersResponse> ListContainers(const v1::ListContainersRequest& request,
                                                  const CallContext& call, Pods& pods);
Result<v1::UpdateContainerResourcesResponse> UpdateContainerResources(
    const v1::UpdateContainerResourcesRequest& request, const CallContext& call, Pods& pods);
Result<v1::ReopenContainerLogResponse> ReopenContainerLog(
    const v1::ReopenContainerLogRequest& request, const CallContext& call, Pods& pods);
Result<v1::ExecSyncResponse> ExecSync(const v1::ExecSyncRequest& request, const CallContext& call,
                                      Pods& pods);
Result<v1::ContainerStatsResponse> ContainerStats(const v1::ContainerStatsRequest& request,
                                                  const CallContext& call, Pods& pods);
Result<v1::ListContainerStatsResponse> ListContainerStats(
    const v1::ListContainerStatsRequest& request, const CallContext& call, Pods& pods);

Result<v1::UpdatePodSandboxResourcesResponse> UpdatePodSandboxResources(
    const v1::UpdatePodSandboxResourcesRequest& request, const CallContext& call, Pods& pods);
// What the kubelet's /metrics/cadvisor shows, see cri/metrics.
Result<v1::ListMetricDescriptorsResponse> ListMetricDescriptors(
    const v1::ListMetricDescriptorsRequest& request, const CallContext& call, Pods& pods);
Result<v1::ListPodSandboxMetricsResponse> ListPodSandboxMetrics(
    const v1::ListPodSandboxMetricsRequest& request, const CallContext& call, Pods& pods);

// The same lists as streams of messages of bounded size (KEP-5825).
Status StreamPodSandboxes(const v1::StreamPodSandboxesRequest& request, const CallContext& call,
                          Pods& pods, const StreamWriter<v1::StreamPodSandboxesResponse>& writer);
Status StreamContainers(const v1::StreamContainersRequest& request, const CallContext& call,
                        Pods& pods, const StreamWriter<v1::StreamContainersResponse>& writer);
Status StreamContainerStats(const v1::StreamContainerStatsRequest& request, const CallContext& call,
                            Pods& pods,
                            const StreamWriter<v1::StreamContainerStatsResponse>& writer);
Status StreamPodSandboxStats(const v1::StreamPodSandboxStatsRequest& request,
                             const CallContext& call, Pods& pods,
                             const StreamWriter<v1::StreamPodSandboxStatsResponse>& writer);
Status StreamPodSandboxMetrics(const v1::StreamPodSandboxMetricsRequest& request,
                               const CallContext& call, Pods& pods,
                               const StreamWriter<v1::StreamPodSandboxMetricsResponse>& writer);
// Ends with the caller, with the daemon, or where the caller falls behind (kResourceExhausted).
Status GetContainerEvents(const v1::GetEventsRequest& request, const CallContext& call, Pods& pods,
                          const StreamWriter<v1::ContainerEventResponse>& writer);

// These give out URLs for a client that comes later; what they name is looked up again then.
Result<v1::ExecResponse> Exec(const v1::ExecRequest& request, const CallContext& call, Pods& pods,
                              StreamingServer& streaming);
Result<v1::AttachResponse> Attach(const v1::AttachRequest& request, const CallContext& call,
                                  Pods& pods, StreamingServer& streaming);
Result<v1::PortForwardResponse> PortForward(const v1::PortForwardRequest& request,
                                            const CallContext& call, Pods& pods,
                                            StreamingServer& streaming);

}  // namespace catamaran

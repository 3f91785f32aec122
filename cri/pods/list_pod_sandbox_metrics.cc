#include <algorithm>
#include <optional>

#include "cri/metrics/pod_metrics.h"
#include "cri/pods/operations.h"
#include "cri/pods/stats_view.h"

namespace catamaran {
namespace {

// Their details are in memory together.
constexpr size_t kPodsAtOnce = 128;

MetricLabels LabelsOf(const record::PodRecord& pod) {
  return {.id = pod.pod_id(),
          .image = "",
          .pod_namespace = pod.config().metadata().namespace_(),
          .pod = pod.config().metadata().name(),
          .container = "POD"};
}

MetricLabels LabelsOf(const record::PodRecord& pod, const record::ContainerRecord& container) {
  MetricLabels labels = LabelsOf(pod);
  labels.id = container.container_id();
  labels.image = container.image_name();
  labels.container = container.config().metadata().name();
  return labels;
}

v1::PodSandboxMetrics MetricsOf(Pod& pod, const spec::SandboxStats& stats) {
  v1::PodSandboxMetrics metrics;
  std::lock_guard lock(pod.mutex);
  metrics.set_pod_sandbox_id(pod.id.value());
  // The node's network is nobody's own: counted for each such pod it would be counted many times.
  if (pod.record.sandbox().network() == spec::POD)
    AddPodMetrics(LabelsOf(pod.record), stats, &metrics);
  for (const spec::ContainerStats& container : stats.containers()) {
    const auto found = pod.containers.find(container.container_id());
    if (found == pod.containers.end() || found->second->state() != ContainerState::kRunning)
      continue;
    const record::ContainerRecord& record = found->second->record;
    auto* out = metrics.add_container_metrics();
    out->set_container_id(record.container_id());
    AddContainerMetrics({.labels = LabelsOf(pod.record, record),
                         .stats = container,
                         .resources = record.resources(),
                         .started_at_ns = record.started_at_ns()},
                        out);
  }
  return metrics;
}

// Gives `take` every pod that is ready and whose shim answers, one after the other.
template <typename Take>
Status ForEachPod(const CallContext& call, Pods& pods, Take take) {
  const auto all = pods.table().Pods();
  for (size_t begin = 0; begin < all.size(); begin += kPodsAtOnce) {
    const std::vector<std::shared_ptr<Pod>> some(
        all.begin() + static_cast<ptrdiff_t>(begin),
        all.begin() + static_cast<ptrdiff_t>(std::min(begin + kPodsAtOnce, all.size())));
    const auto details = ReadDetails(some, call);
    for (const auto& pod : some) {
      const auto found = details.find(pod->id.value());
      if (found != details.end()) RETURN_IF_ERROR(take(MetricsOf(*pod, *found->second)));
    }
    if (call.deadline.expired()) break;  // what is known is better than nothing
  }
  return {};
}

}  // namespace

Result<v1::ListMetricDescriptorsResponse> ListMetricDescriptors(
    const v1::ListMetricDescriptorsRequest&, const CallContext&, Pods&) {
  return MetricDescriptors();
}

Result<v1::ListPodSandboxMetricsResponse> ListPodSandboxMetrics(
    const v1::ListPodSandboxMetricsRequest&, const CallContext& call, Pods& pods) {
  v1::ListPodSandboxMetricsResponse response;
  RETURN_IF_ERROR(ForEachPod(call, pods, [&](v1::PodSandboxMetrics metrics) -> Status {
    *response.add_pod_metrics() = std::move(metrics);
    return {};
  }));
  return response;
}

Status StreamPodSandboxMetrics(const v1::StreamPodSandboxMetricsRequest&, const CallContext& call,
                               Pods& pods,
                               const StreamWriter<v1::StreamPodSandboxMetricsResponse>& writer) {
  StreamBatch batch(writer);
  RETURN_IF_ERROR(ForEachPod(call, pods, [&](v1::PodSandboxMetrics metrics) -> Status {
    const size_t bytes = metrics.ByteSizeLong();
    *batch.message().add_pod_sandbox_metrics() = std::move(metrics);
    return batch.Added(bytes);
  }));
  return batch.Send();
}

}  // namespace catamaran

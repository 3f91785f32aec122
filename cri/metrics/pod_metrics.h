#pragma once

#include <string>

#include "cri/api/runtime.pb.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// What samples are labelled with, beside what a row adds: the keys id, image, namespace, pod and
// container, in this order.
struct MetricLabels {
  std::string id;  // the container's; the sandbox's where a sample is of the whole pod
  std::string image;
  std::string pod_namespace;
  std::string pod;
  std::string container;  // "POD" where a sample is of the whole pod
};

struct ContainerMetricsInput {
  const MetricLabels& labels;
  const spec::ContainerStats& stats;                      // with details
  const runtime::v1::LinuxContainerResources& resources;  // in effect
  int64_t started_at_ns;
};

// Every name that samples can have, in the order of the list. The same for every handler.
runtime::v1::ListMetricDescriptorsResponse MetricDescriptors();

// The samples of one container, and those of a pod as a whole (its network). Their timestamps are
// 0: they are taken when asked for.
void AddContainerMetrics(const ContainerMetricsInput& container,
                         runtime::v1::ContainerMetrics* metrics);
void AddPodMetrics(const MetricLabels& labels, const spec::SandboxStats& stats,
                   runtime::v1::PodSandboxMetrics* metrics);

}  // namespace catamaran

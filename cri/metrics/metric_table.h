#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cri/metrics/pod_metrics.h"

namespace catamaran {

// Takes one sample: its value, and the values of the row's own labels in their order.
using MetricSink = std::function<void(uint64_t value, std::initializer_list<std::string> labels)>;

template <typename Input>
struct MetricRow {
  const char* name;
  runtime::v1::MetricType type;
  std::vector<const char*> label_keys;  // the row's own, after the common ones
  const char* help;
  void (*fill)(const Input& input, const MetricSink& sink);
};

// The samples that each container, and each pod as a whole, can have.
std::span<const MetricRow<ContainerMetricsInput>> ContainerMetricRows();
std::span<const MetricRow<spec::SandboxStats>> PodMetricRows();

}  // namespace catamaran

#include "cri/metrics/pod_metrics.h"

#include <set>

#include "cri/metrics/metric_table.h"

namespace catamaran {
namespace {

namespace v1 = ::runtime::v1;

constexpr const char* kCommonKeys[] = {"id", "image", "namespace", "pod", "container"};

template <typename Row>
void AddDescriptor(const Row& row, v1::ListMetricDescriptorsResponse* response) {
  auto* descriptor = response->add_descriptors();
  descriptor->set_name(row.name);
  descriptor->set_help(row.help);
  for (const char* key : kCommonKeys) descriptor->add_label_keys(key);
  for (const char* key : row.label_keys) descriptor->add_label_keys(key);
}

void AddSample(const char* name, v1::MetricType type, const MetricLabels& labels,
               std::initializer_list<std::string> more, uint64_t value, v1::Metric* metric) {
  metric->set_name(name);
  metric->set_metric_type(type);
  for (const std::string* label :
       {&labels.id, &labels.image, &labels.pod_namespace, &labels.pod, &labels.container})
    metric->add_label_values(*label);
  for (const std::string& label : more) metric->add_label_values(label);
  metric->mutable_value()->set_value(value);
}

// What comes from a guest may name the same device twice.
template <typename Row, typename Input, typename Metrics>
void AddRow(const Row& row, const Input& input, const MetricLabels& labels, Metrics* metrics) {
  std::set<std::vector<std::string>> seen;
  row.fill(input, [&](uint64_t value, std::initializer_list<std::string> more) {
    if (more.size() != row.label_keys.size() || !seen.insert(more).second) return;
    AddSample(row.name, row.type, labels, more, value, metrics->add_metrics());
  });
}

}  // namespace

v1::ListMetricDescriptorsResponse MetricDescriptors() {
  v1::ListMetricDescriptorsResponse response;
  for (const auto& row : ContainerMetricRows()) AddDescriptor(row, &response);
  for (const auto& row : PodMetricRows()) AddDescriptor(row, &response);
  return response;
}

void AddContainerMetrics(const ContainerMetricsInput& container, v1::ContainerMetrics* metrics) {
  for (const auto& row : ContainerMetricRows()) AddRow(row, container, container.labels, metrics);
}

void AddPodMetrics(const MetricLabels& labels, const spec::SandboxStats& stats,
                   v1::PodSandboxMetrics* metrics) {
  for (const auto& row : PodMetricRows()) AddRow(row, stats, labels, metrics);
}

}  // namespace catamaran

#include "cri/telemetry/meters.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>

namespace catamaran {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;

double Seconds(Meters::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string CodeOf(const Error* error) {
  return error == nullptr ? "OK" : std::string(ErrorCodeName(error->code));
}

// Calls and steps: a list takes less than a millisecond, a boot under emulation many seconds.
const Histogram::BucketBoundaries& CallBuckets() {
  static const Histogram::BucketBoundaries bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                  0.25,  0.5,    1,     2.5,  5,     10,   30};
  return bounds;
}
const Histogram::BucketBoundaries& PullBuckets() {
  static const Histogram::BucketBoundaries bounds{0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600};
  return bounds;
}

prometheus::MetricFamily ToFamily(const GaugeFamily& gauges) {
  const bool counts = gauges.kind == GaugeFamily::Kind::kCounter;
  prometheus::MetricFamily family;
  family.name = gauges.name;
  family.help = gauges.help;
  family.type = counts ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
  for (const GaugeFamily::Sample& sample : gauges.samples) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    for (const auto& [name, value] : sample.labels) metric.label.push_back({name, value});
    std::sort(metric.label.begin(), metric.label.end());  // as those of what is counted are
    (counts ? metric.counter.value : metric.gauge.value) = sample.value;
  }
  return family;
}

}  // namespace

struct Meters::Families {
  prometheus::Registry registry;

  Family<Counter>& Counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<Histogram>& Histograms(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  Family<Histogram>& calls = Histograms("catamaran_rpc_duration_seconds",
                                        "Calls of the CRI that ended, by method and handler");
  Family<Counter>& call_errors =
      Counters("catamaran_rpc_errors_total", "Calls of the CRI that failed, by their code");
  Family<Histogram>& steps = Histograms("catamaran_start_step_duration_seconds",
                                        "Steps of the starts of pods and containers");
  Family<Counter>& machines = Counters(
      "catamaran_machines_started_total",
      "Virtual machines of pods: restored from a template or booted, from the pool or not");
  Family<Histogram>& pulls =
      Histograms("catamaran_image_pull_duration_seconds", "Pulls of images that ended");
  Family<Counter>& pull_errors =
      Counters("catamaran_image_pull_errors_total", "Pulls of images that failed, by their code");
  Counter& pull_bytes =
      Counters("catamaran_image_pull_bytes_total", "Bytes of images received from registries")
          .Add({});
  Family<Counter>& leaks = Counters("catamaran_leaks_found_total",
                                    "Things that no record owns, met by the sweeper at a start");
  Family<Counter>& reloads =
      Counters("catamaran_config_reloads_total", "Readings of the configuration while it serves");
  Family<Counter>& spans =
      Counters("catamaran_trace_spans_total", "Spans of traces, by what became of them");
};

// What alerts speak of is there from the start: a rate needs a zero before the first one.
Meters::Meters() : families_(std::make_unique<Families>()) {
  for (const char* kind : {"cgroup", "data", "folder", "machine"})
    for (const char* swept : {"true", "false"})
      families_->leaks.Add({{"kind", kind}, {"swept", swept}});
  for (const char* result : {"applied", "refused"}) families_->reloads.Add({{"result", result}});
  for (const char* result : {"sent", "queue_full", "refused", "failed"})
    families_->spans.Add({{"result", result}});
  families_->pulls.Add({}, PullBuckets());
}
Meters::~Meters() = default;

void Meters::CallEnded(std::string_view method, const std::string& handler, Duration took,
                       const Error* error) {
  const prometheus::Labels labels{{"method", std::string(method)}, {"handler", handler}};
  families_->calls.Add(labels, CallBuckets()).Observe(Seconds(took));
  if (error == nullptr) return;
  prometheus::Labels with_code = labels;
  with_code["code"] = CodeOf(error);
  families_->call_errors.Add(with_code).Increment();
}

void Meters::StepTook(const std::string& handler, const std::string& step, Duration took) {
  families_->steps.Add({{"handler", handler}, {"step", step}}, CallBuckets())
      .Observe(Seconds(took));
}

void Meters::MachineStarted(const std::string& handler, const std::string& start, bool from_pool) {
  families_->machines
      .Add({{"handler", handler}, {"start", start}, {"from_pool", from_pool ? "true" : "false"}})
      .Increment();
}

void Meters::PullEnded(Duration took, const Error* error) {
  families_->pulls.Add({}, PullBuckets()).Observe(Seconds(took));
  if (error != nullptr) families_->pull_errors.Add({{"code", CodeOf(error)}}).Increment();
}

void Meters::PullReceived(size_t bytes) {
  families_->pull_bytes.Increment(static_cast<double>(bytes));
}

void Meters::LeakFound(const std::string& kind, bool swept) {
  families_->leaks.Add({{"kind", kind}, {"swept", swept ? "true" : "false"}}).Increment();
}

void Meters::ReloadEnded(bool applied) {
  families_->reloads.Add({{"result", applied ? "applied" : "refused"}}).Increment();
}

void Meters::SpansEnded(const std::string& result, size_t count) {
  families_->spans.Add({{"result", result}}).Increment(static_cast<double>(count));
}

std::string Meters::Text(const std::vector<GaugeFamily>& more) const {
  std::vector<prometheus::MetricFamily> families = families_->registry.Collect();
  for (const GaugeFamily& gauges : more) families.push_back(ToFamily(gauges));
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return text.str();
}

}  // namespace catamaran

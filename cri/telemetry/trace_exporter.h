#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cri/config/config.h"
#include "cri/telemetry/finished_trace.h"
#include "cri/telemetry/meters.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Sends traces to an OTLP collector over HTTP, in batches, on a thread of its own. Nobody waits for
// it: what comes while kMostQueued spans wait is dropped, and a collector that is slow, gone or
// refuses costs its traces and nothing else; each is counted (catamaran_trace_spans_total).
// Thread-safe.
class TraceExporter {
 public:
  static constexpr size_t kMostQueued = 8192;
  static constexpr size_t kBatch = 512;  // spans that are sent at once without waiting for more
  // Of one attempt; and how often and how far apart it is tried where the collector asks for
  // patience (429, 502, 503, 504, no connection), as OTLP has it.
  static constexpr std::chrono::seconds kPatience{10};
  static constexpr int kAttempts = 4;
  static constexpr std::chrono::seconds kLongestPause{30};

  struct Options {
    std::string version;
    std::chrono::milliseconds gather{1000};      // how long a batch waits for company
    std::chrono::milliseconds first_pause{500};  // before the second attempt; doubles
    // Told once when sending begins to fail, and once when it works again. On the thread.
    std::function<void(const std::string&)> notice = {};
  };
  // Sends nowhere until Replace says where.
  static std::unique_ptr<TraceExporter> Start(Meters& meters, Options options);
  // What is queued is tried once more, for a second at most.
  virtual ~TraceExporter() = default;

  // Sends there from now on; certificates are read now. kInvalidArgument names the key of the
  // configuration, and all stays as it was.
  virtual Status Replace(const TracingConfig& config) = 0;
  // Does not block.
  virtual void Offer(FinishedTrace trace) = 0;
};

}  // namespace catamaran

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "cri/config/config.h"
#include "cri/telemetry/trace_exporter.h"
#include "sandbox/base/trace.h"

namespace catamaran {

// What a caller says of the trace that it is in, as it came: headers of W3C Trace Context. One that
// is there more than once counts as absent.
struct TraceHeaders {
  std::string traceparent, tracestate;
};

// Decides which calls are traced, and hands those that ended to the exporter. Switched off it costs
// one look at a flag. Thread-safe.
class Tracer {
 public:
  Tracer(Meters& meters, TraceExporter::Options options)
      : exporter_(TraceExporter::Start(meters, std::move(options))) {}

  // Traces as this says from now on; kInvalidArgument names the key, and all stays as it was.
  Status Replace(const TracingConfig& config);
  bool on() const { return on_; }

  // A call that begins. It is traced where its caller traces it, and where that has no trace of its
  // own for so many of a million. For as long as this lives the thread works within its span.
  class Call {
   public:
    Call() = default;  // not traced
    Call(Call&&) = delete;
    ~Call();
    void Begin(Tracer& tracer, std::string_view name, const TraceHeaders& headers);
    void Note(std::string_view key, std::string value) const {
      if (!value.empty()) span_.Note(key, std::move(value));
    }
    // Null: it succeeded.
    void SetError(const Error* error);
    const std::string& trace_id() const { return finished_.trace_id; }  // "": not traced
    explicit operator bool() const { return static_cast<bool>(span_); }

   private:
    Tracer* tracer_ = nullptr;
    FinishedTrace finished_;  // but for its spans
    Span span_;
    std::unique_ptr<SpanScope> scope_;
    bool failed_ = false;
  };

 private:
  bool Samples() const;

  std::atomic<bool> on_ = false;
  std::atomic<uint32_t> rate_per_million_ = 0;
  const std::unique_ptr<TraceExporter> exporter_;
};

}  // namespace catamaran

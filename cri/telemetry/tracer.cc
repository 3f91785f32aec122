#include "cri/telemetry/tracer.h"

#include <sys/random.h>

#include <algorithm>
#include <optional>
#include <random>

#include "sandbox/base/trace_context.h"

namespace catamaran {
namespace {

constexpr size_t kLongestTracestate = 512;  // what W3C Trace Context asks everybody to keep

uint64_t RandomNumber() {
  uint64_t number = 0;
  // Never cut short for so few bytes (getrandom(2)).
  [[maybe_unused]] const ssize_t got = getrandom(&number, sizeof number, 0);
  return number;
}

// Below 2^63 and not zero, so that those counted up from it are not zero either.
uint64_t NewFirstId() { return std::max<uint64_t>(RandomNumber() >> 1, 1); }

// Kept as it is where it can be a header: a vendor's words, which we do not read.
std::string KeptTracestate(const std::string& text) {
  const bool kept =
      text.size() <= kLongestTracestate &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return kept ? text : "";
}

}  // namespace

Status Tracer::Replace(const TracingConfig& config) {
  RETURN_IF_ERROR(exporter_->Replace(config));
  rate_per_million_ = config.sampling_rate_per_million;
  on_ = !config.endpoint.empty();
  return {};
}

bool Tracer::Samples() const {
  const uint32_t rate = rate_per_million_;
  if (rate == 0) return false;
  thread_local std::minstd_rand random(static_cast<uint32_t>(RandomNumber()));
  return std::uniform_int_distribution<uint32_t>(0, 999'999)(random) < rate;
}

void Tracer::Call::Begin(Tracer& tracer, std::string_view name, const TraceHeaders& headers) {
  if (!tracer.on()) return;
  std::optional<TraceContext> context = ParseTraceparent(headers.traceparent);
  if (context ? !context->sampled : !tracer.Samples()) return;
  if (context) {
    finished_.parent_id = context->parent_id;
    finished_.tracestate = KeptTracestate(headers.tracestate);
  } else {
    context = TraceContext{fmt::format("{:016x}{:016x}", NewFirstId(), RandomNumber()),
                           fmt::format("{:016x}", NewFirstId()), true};
  }
  tracer_ = &tracer;
  finished_.trace_id = context->trace_id;
  finished_.first_id = NewFirstId();
  span_ = Span(std::make_shared<Trace>(context->Traceparent(), finished_.first_id), 0).Child(name);
  scope_ = std::make_unique<SpanScope>(span_);
}

void Tracer::Call::SetError(const Error* error) {
  failed_ = error != nullptr;
  if (!span_ || !failed_) return;
  finished_.error = error->message;
  span_.Note("error.type", std::string(ErrorCodeName(error->code)));
}

Tracer::Call::~Call() {
  if (!span_) return;
  scope_.reset();
  span_.End(failed_);
  finished_.unix_offset_ns = UnixOffsetNs();
  finished_.spans = span_.trace()->Take();
  tracer_->exporter_->Offer(std::move(finished_));
}

}  // namespace catamaran

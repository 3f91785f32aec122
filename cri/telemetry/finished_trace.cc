#include "cri/telemetry/finished_trace.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "cri/base/redact.h"
#include "cri/telemetry/otlp.pb.h"

namespace catamaran {
namespace {

constexpr char kStatusCode[] = "rpc.grpc.status_code";  // the one attribute that is a number
constexpr size_t kLongestValue = 256;

// A proto3 string must be UTF-8.
std::string Plain(std::string_view text) { return Printable(text, kLongestValue); }

std::string BytesOfHex(std::string_view hex) {
  std::string bytes;
  for (size_t at = 0; at + 2 <= hex.size(); at += 2) {
    unsigned value = 0;
    std::from_chars(hex.data() + at, hex.data() + at + 2, value, 16);
    bytes += static_cast<char>(value);
  }
  return bytes;
}

// Of a span's position; the id's bytes as they are written in a traceparent.
std::string IdOf(const FinishedTrace& trace, uint32_t position) {
  return BytesOfHex(fmt::format("{:016x}", trace.first_id + position));
}

void Add(google::protobuf::RepeatedPtrField<otlp::KeyValue>* attributes, std::string_view key,
         std::string_view value) {
  otlp::KeyValue& attribute = *attributes->Add();
  attribute.set_key(Plain(key));
  if (key != kStatusCode) return attribute.mutable_value()->set_string_value(Plain(value));
  int64_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  attribute.mutable_value()->set_int_value(number);
}

void Encode(const FinishedTrace& trace, size_t index, otlp::Span* out) {
  const SpanRecord& span = trace.spans[index];
  out->set_trace_id(BytesOfHex(trace.trace_id));
  out->set_span_id(IdOf(trace, index + 1));
  out->set_trace_state(trace.tracestate);
  out->set_parent_span_id(span.parent == 0 ? BytesOfHex(trace.parent_id)
                                           : IdOf(trace, span.parent));
  out->set_name(Plain(span.name));
  out->set_kind(index == 0 ? otlp::Span::SERVER : otlp::Span::INTERNAL);
  out->set_start_time_unix_nano(span.began_ns + trace.unix_offset_ns);
  out->set_end_time_unix_nano(std::max(span.ended_ns, span.began_ns) + trace.unix_offset_ns);
  out->set_flags(1);                                  // sampled
  std::map<std::string_view, std::string_view> once;  // keys must not be there twice
  for (const auto& [key, value] : span.details) once[key] = value;
  for (const auto& [key, value] : once)
    // What a shim or a guest says may hold anything; ours are ids, names and numbers.
    Add(out->mutable_attributes(), key, span.by.empty() ? std::string(value) : RedactText(value));
  if (!span.failed) return;
  out->mutable_status()->set_code(otlp::SpanStatus::ERROR);
  if (index == 0) out->mutable_status()->set_message(Plain(RedactText(trace.error)));
}

}  // namespace

std::string EncodeTraces(const std::vector<FinishedTrace>& traces, const TraceSource& source) {
  otlp::ExportTraceServiceRequest request;
  std::map<std::string, otlp::ScopeSpans*> scopes;  // by process
  const auto scope_of = [&](const std::string& by) {
    otlp::ScopeSpans*& scope = scopes[by];
    if (scope != nullptr) return scope;
    otlp::ResourceSpans& spans = *request.add_resource_spans();
    auto* attributes = spans.mutable_resource()->mutable_attributes();
    Add(attributes, "service.name", by.empty() ? source.service : source.service + "-" + by);
    Add(attributes, "service.version", source.version);
    Add(attributes, "host.name", source.node);
    scope = spans.add_scope_spans();
    scope->mutable_scope()->set_name("catamaran");
    scope->mutable_scope()->set_version(source.version);
    return scope;
  };
  for (const FinishedTrace& trace : traces)
    for (size_t i = 0; i < trace.spans.size(); ++i)
      Encode(trace, i, scope_of(trace.spans[i].by)->add_spans());
  return request.SerializeAsString();
}

RejectedSpans DecodeExportAnswer(const std::string& body) {
  otlp::ExportTraceServiceResponse response;
  if (!response.ParseFromString(body) || response.partial_success().rejected_spans() <= 0)
    return {};
  return {static_cast<uint64_t>(response.partial_success().rejected_spans()),
          Plain(response.partial_success().error_message())};
}

}  // namespace catamaran

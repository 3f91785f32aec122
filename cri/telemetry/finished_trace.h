#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/trace.h"
#include "sandbox/base/trace_context.h"

namespace catamaran {

// A call that was traced and has ended. Its first span is the call itself.
struct FinishedTrace {
  std::string trace_id;        // hexadecimal
  std::string parent_id;       // of the caller's span, likewise; empty: the caller has none
  std::string tracestate;      // as the caller sent it
  uint64_t first_id = 0;       // the n-th span, counted from 1, has the id first_id + n
  int64_t unix_offset_ns = 0;  // to be added to the spans' clock for Unix time
  std::string error;           // of the call; empty: it succeeded
  std::vector<SpanRecord> spans;
};

// What those are said to come from.
struct TraceSource {
  std::string service;  // of the daemon; "<service>-shim" and "-agent" of theirs
  std::string version;
  std::string node;  // host name
};

// An ExportTraceServiceRequest of OTLP, as bytes. Pure.
std::string EncodeTraces(const std::vector<FinishedTrace>& traces, const TraceSource& source);

// How many spans the collector rejected by such an answer (ExportTraceServiceResponse), and why;
// nonsense is taken for none.
struct RejectedSpans {
  uint64_t count = 0;
  std::string why;
};
RejectedSpans DecodeExportAnswer(const std::string& body);

}  // namespace catamaran

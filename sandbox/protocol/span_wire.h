#pragma once

#include <cstdint>
#include <vector>

#include "sandbox/backend/pod_protocol.pb.h"
#include "sandbox/base/trace.h"

namespace catamaran {

// The spans of one process as another reads them.

using WireSpans = google::protobuf::RepeatedPtrField<pod::Span>;

// `by`: who says so.
void SpansToWire(std::vector<SpanRecord> spans, const std::string& by, WireSpans* wire);

// Makes the spans of an answer children of `parent`. What comes in may be hostile, and its clock
// may say anything: the spans come to lie between the moments at which the request was sent and the
// answer arrived (MonotonicNowNs), where the peer's clock has them if it is about right, in the
// middle of them otherwise. Names are cut and made printable, what is too much is left out.
void AdoptSpans(const WireSpans& wire, const Span& parent, int64_t sent_ns, int64_t arrived_ns);

}  // namespace catamaran

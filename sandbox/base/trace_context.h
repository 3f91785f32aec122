#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace catamaran {

// Where a caller stands in a trace, in the words of W3C Trace Context (Recommendation, level 1).
struct TraceContext {
  std::string trace_id;   // 32 digits of lower-case hexadecimal, not all zero
  std::string parent_id;  // 16 of them, likewise
  bool sampled = false;

  // "00-<trace id>-<parent id>-<flags>"
  std::string Traceparent() const;
};

// Of a header `traceparent`, which may be anything: none where it is not one to the letter. A
// version above 00 may be longer; of it is read what 00 has.
std::optional<TraceContext> ParseTraceparent(std::string_view header);

}  // namespace catamaran

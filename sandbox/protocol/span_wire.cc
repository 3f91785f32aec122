#include "sandbox/protocol/span_wire.h"

#include <algorithm>
#include <limits>

namespace catamaran {
namespace {

constexpr size_t kLongestName = 64;
constexpr size_t kLongestDetail = 128;
constexpr size_t kMostDetails = 8;

// Of the peer's clock, in ours. Numbers that wrap round would be undefined, so they are not signed.
class Window {
 public:
  Window(const WireSpans& wire, int64_t sent, int64_t arrived) : sent_(sent), arrived_(arrived) {
    int64_t first = std::numeric_limits<int64_t>::max(), last = std::numeric_limits<int64_t>::min();
    for (const pod::Span& span : wire) {
      first = std::min(first, span.began_ns());
      last = std::max(last, span.ended_ns());
    }
    const int64_t offset = UnixOffsetNs();
    shift_ = static_cast<uint64_t>(-offset);
    if (first >= sent + offset && last <= arrived + offset) return;
    const uint64_t middle = static_cast<uint64_t>(first) +
                            (static_cast<uint64_t>(last) - static_cast<uint64_t>(first)) / 2;
    shift_ = static_cast<uint64_t>(sent + (arrived - sent) / 2) - middle;
  }
  int64_t Shifted(int64_t at) const {
    const auto shifted = static_cast<int64_t>(static_cast<uint64_t>(at) + shift_);
    return std::clamp(shifted, sent_, arrived_);
  }

 private:
  const int64_t sent_, arrived_;
  uint64_t shift_ = 0;
};

}  // namespace

void SpansToWire(std::vector<SpanRecord> spans, const std::string& by, WireSpans* wire) {
  const int64_t offset = UnixOffsetNs();
  for (SpanRecord& span : spans) {
    pod::Span& out = *wire->Add();
    out.set_name(std::move(span.name));
    out.set_by(span.by.empty() ? by : std::move(span.by));
    out.set_began_ns(span.began_ns + offset);
    out.set_ended_ns(span.ended_ns + offset);
    out.set_parent(span.parent);
    out.set_failed(span.failed);
    for (auto& [key, value] : span.details)
      (*out.mutable_details())[key] = Printable(value, kLongestDetail);
  }
}

void AdoptSpans(const WireSpans& wire, const Span& parent, int64_t sent_ns, int64_t arrived_ns) {
  if (!parent || wire.empty() || arrived_ns < sent_ns) return;
  const Window window(wire, sent_ns, arrived_ns);
  std::vector<uint32_t> positions;
  for (const pod::Span& span : wire) {
    // Only those that came before it can be a span's parent: what they make is a tree.
    const bool known = span.parent() > 0 && span.parent() <= positions.size();
    SpanRecord record;
    record.name = Printable(span.name(), kLongestName);
    record.by = Printable(span.by(), kLongestName);
    record.began_ns = window.Shifted(span.began_ns());
    record.ended_ns = std::max(window.Shifted(span.ended_ns()), record.began_ns);
    record.parent = known ? positions[span.parent() - 1] : parent.position();
    record.failed = span.failed();
    for (const auto& [key, value] : span.details()) {
      if (record.details.size() == kMostDetails) break;
      record.details.emplace_back(Printable(key, kLongestName), Printable(value, kLongestDetail));
    }
    const uint32_t position = parent.trace()->Adopt(std::move(record));
    if (position == 0) return;
    positions.push_back(position);
  }
}

}  // namespace catamaran

#include "sandbox/base/trace.h"

#include <chrono>

namespace catamaran {
namespace {

thread_local const Span* current = nullptr;

// Where the parent's id lies in a traceparent, and its length.
constexpr size_t kParentAt = 36;
constexpr size_t kParentLength = 16;

}  // namespace

int64_t MonotonicNowNs() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t UnixOffsetNs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::nanoseconds(now).count() - MonotonicNowNs();
}

std::string Printable(std::string_view text, size_t longest) {
  std::string printable(text.substr(0, longest));
  for (char& c : printable)
    if (c < ' ' || c > '~') c = '?';
  return printable;
}

uint32_t Trace::Begin(std::string_view name, uint32_t parent) {
  SpanRecord span;
  span.name = name;
  span.began_ns = MonotonicNowNs();
  span.parent = parent;
  return Adopt(std::move(span));
}

uint32_t Trace::Adopt(SpanRecord span) {
  const std::lock_guard lock(mutex_);
  if (taken_ || spans_.size() >= kMostSpans) return 0;
  spans_.push_back(std::move(span));
  return static_cast<uint32_t>(spans_.size());
}

void Trace::Note(uint32_t span, std::string_view key, std::string value) {
  const std::lock_guard lock(mutex_);
  if (span == 0 || span > spans_.size()) return;
  spans_[span - 1].details.emplace_back(key, std::move(value));
}

void Trace::End(uint32_t span, bool failed) {
  const std::lock_guard lock(mutex_);
  if (span == 0 || span > spans_.size() || spans_[span - 1].ended_ns != 0) return;
  spans_[span - 1].ended_ns = MonotonicNowNs();
  spans_[span - 1].failed = failed;
}

std::vector<SpanRecord> Trace::Take() {
  const std::lock_guard lock(mutex_);
  taken_ = true;
  for (SpanRecord& span : spans_)
    if (span.ended_ns == 0) span.ended_ns = MonotonicNowNs();
  return std::exchange(spans_, {});
}

std::string Trace::TraceparentOf(uint32_t span) const {
  std::string traceparent = traceparent_;
  if (first_id_ == 0 || span == 0) return traceparent;
  return traceparent.replace(kParentAt, kParentLength, fmt::format("{:016x}", first_id_ + span));
}

Span Span::Current() { return current == nullptr ? Span() : *current; }

Span Span::Child(std::string_view name) const {
  if (!trace_) return {};
  return {trace_, trace_->Begin(name, position_)};
}

void Span::Note(std::string_view key, std::string value) const {
  if (trace_) trace_->Note(position_, key, std::move(value));
}

void Span::End(bool failed) const {
  if (trace_) trace_->End(position_, failed);
}

SpanScope::SpanScope(Span span) : span_(std::move(span)), before_(current) { current = &span_; }

SpanScope::~SpanScope() { current = before_; }

}  // namespace catamaran

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_function.h"

namespace catamaran {

// A part of what a request's time went on.
struct SpanRecord {
  std::string name;
  std::string by;        // the process it was noted in; empty: this one
  int64_t began_ns = 0;  // of CLOCK_MONOTONIC here
  int64_t ended_ns = 0;
  uint32_t parent = 0;  // 1-based position among the trace's spans; 0: the request itself
  bool failed = false;
  std::vector<std::pair<std::string, std::string>> details;  // for people; never secrets
};

int64_t MonotonicNowNs();
// To be added to MonotonicNowNs for Unix time, as the clocks are now.
int64_t UnixOffsetNs();
// At most `longest` bytes of it, with a question mark for each that is no printable ASCII: fit for
// a span's words, whoever they are from.
std::string Printable(std::string_view text, size_t longest);

// The spans of one request that somebody traces. Thread-safe; bounded: what is beyond kMostSpans is
// left out, as is what begins after Take.
class Trace {
 public:
  static constexpr size_t kMostSpans = 256;

  // `traceparent` is the caller's, in the form 00-<32 hex>-<16 hex>-<2 hex> of W3C Trace Context.
  // The n-th span has the id first_id + n; 0 where this process gives no ids: whoever takes the
  // spans over does (clones of a machine would make up the same ones).
  explicit Trace(std::string traceparent, uint64_t first_id = 0)
      : traceparent_(std::move(traceparent)), first_id_(first_id) {}

  // Positions; 0 where there is no room.
  uint32_t Begin(std::string_view name, uint32_t parent);
  uint32_t Adopt(SpanRecord span);
  void Note(uint32_t span, std::string_view key, std::string value);
  void End(uint32_t span, bool failed);  // the first time counts
  // All of them, in the order of their positions; those that run end now.
  std::vector<SpanRecord> Take();

  // What a request made within the span brings.
  std::string TraceparentOf(uint32_t span) const;
  uint64_t first_id() const { return first_id_; }

 private:
  const std::string traceparent_;
  const uint64_t first_id_;
  std::mutex mutex_;
  bool taken_ = false;
  std::vector<SpanRecord> spans_;
};

// A handle to a span of a trace, or to nothing: then all of this does nothing and costs next to it.
// Copies are the same span.
class Span {
 public:
  Span() = default;
  Span(std::shared_ptr<Trace> trace, uint32_t position)
      : trace_(std::move(trace)), position_(position) {}
  // The one within which this thread works, see SpanScope.
  static Span Current();

  Span Child(std::string_view name) const;
  void Note(std::string_view key, std::string value) const;
  void End(bool failed = false) const;
  explicit operator bool() const { return trace_ != nullptr; }

  const std::shared_ptr<Trace>& trace() const { return trace_; }
  uint32_t position() const { return position_; }
  std::string Traceparent() const { return trace_ ? trace_->TraceparentOf(position_) : ""; }

 private:
  std::shared_ptr<Trace> trace_;
  uint32_t position_ = 0;
};

// For as long as it lives this thread works within `span`. Nests.
class SpanScope {
 public:
  explicit SpanScope(Span span);
  ~SpanScope();
  SpanScope(const SpanScope&) = delete;

 private:
  const Span span_;
  const Span* const before_;
};

// A child of the current span, current itself for as long as it lives: a step done on one thread.
class StepSpan {
 public:
  explicit StepSpan(std::string_view name) : span_(Span::Current().Child(name)), scope_(span_) {}
  ~StepSpan() { span_.End(failed_); }
  void Fail() { failed_ = true; }
  void Note(std::string_view key, std::string value) { span_.Note(key, std::move(value)); }
  // Of a step whose outcome this is.
  template <typename T>
  Result<T> Outcome(Result<T> result) {
    failed_ = !result;
    return result;
  }

 private:
  const Span span_;
  const SpanScope scope_;
  bool failed_ = false;
};

// The same for a step that completes later, on an event loop: the child begins now and ends when
// the completion is called, which then runs within the span that is current now.
template <typename T>
UniqueFunction<void(Result<T>)> AsStep(std::string_view name,
                                       UniqueFunction<void(Result<T>)> done) {
  Span parent = Span::Current();
  if (!parent) return done;
  return [parent, step = parent.Child(name), done = std::move(done)](Result<T> result) mutable {
    step.End(!result);
    const SpanScope scope(parent);
    done(std::move(result));
  };
}

}  // namespace catamaran

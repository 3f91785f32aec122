#pragma once

#include <functional>

#include "sandbox/base/result.h"

namespace catamaran {

// The messages of one call that answers with a stream.
template <typename Response>
struct StreamWriter {
  std::function<void()> begin;                 // tells the caller that its call is served
  std::function<bool(const Response&)> write;  // blocks while the caller reads slowly; false: gone
};

// Gathers the items of a streamed list into messages of bounded size, so that the memory a list
// takes does not grow with it.
template <typename Response>
class StreamBatch {
 public:
  explicit StreamBatch(const StreamWriter<Response>& writer) : writer_(writer) {}

  // For the next item; then Added, which may send. kAborted where the caller has gone.
  Response& message() { return message_; }
  Status Added(size_t bytes) {
    ++items_;
    bytes_ += bytes;
    return items_ < kMostItems && bytes_ < kMostBytes ? Status() : Send();
  }
  Status Send() {
    if (items_ == 0) return {};
    if (!writer_.write(message_)) return Fail(ErrorCode::kAborted, "the caller has gone");
    message_.Clear();
    items_ = bytes_ = 0;
    return {};
  }

 private:
  static constexpr size_t kMostItems = 100, kMostBytes = 1 << 20;
  const StreamWriter<Response>& writer_;
  Response message_;
  size_t items_ = 0, bytes_ = 0;
};

}  // namespace catamaran

#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cri/streaming/stream_target.h"
#include "sandbox/base/result.h"

namespace catamaran {

// What a URL stands for.
struct StreamTicket {
  enum class Kind { kExec, kAttach, kPortForward };
  Kind kind = Kind::kExec;
  StreamWants wants;                         // of the first two
  std::unique_ptr<StreamedProcess> process;  // of the first two
  std::vector<uint16_t> ports;               // of the last, as WebSocket clients number them
  std::unique_ptr<PortTarget> target;        // of the last
};

// "exec", "attach", "portforward": the first part of a URL's path.
std::string_view PathOf(StreamTicket::Kind kind);

// The tickets that wait for their clients. A ticket is good once and for a minute; the token is all
// that authenticates a client, so it is random and long. Thread-safe.
class StreamTokens {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kMostWaiting = 1000;
  static constexpr std::chrono::seconds kLifetime{60};

  // The path of its URL, "/exec/TOKEN". kResourceExhausted where too many wait.
  Result<std::string> Add(StreamTicket ticket, Clock::time_point now = Clock::now());
  // The ticket of a path, which is used up by it; nothing where there is none (any more).
  std::optional<StreamTicket> Take(std::string_view path, Clock::time_point now = Clock::now());

 private:
  struct Waiting {
    StreamTicket ticket;
    Clock::time_point until;
  };
  void DropOld(Clock::time_point now);

  std::mutex mutex_;
  std::map<std::string, Waiting, std::less<>> waiting_;  // by path
};

}  // namespace catamaran

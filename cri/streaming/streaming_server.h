#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cri/streaming/stream_target.h"
#include "cri/streaming/stream_tokens.h"
#include "sandbox/base/result.h"

namespace catamaran {

// The HTTP server whose URLs Exec, Attach and PortForward give out. Plain HTTP: it listens where
// the kubelet, which proxies for everybody else, reaches it, and the token in the URL is what
// authenticates a client. Thread-safe.
class StreamingServer {
 public:
  struct Options {
    std::string address = "127.0.0.1";    // IPv4 or IPv6, without brackets
    uint16_t port = 0;                    // 0: the kernel chooses
    std::chrono::seconds idle{4 * 3600};  // a client without a byte for so long is ended
  };
  // Clients at one time, each with a thread; further ones are told 503.
  static constexpr size_t kMostClients = 1000;

  // kInvalidArgument where the address is none, kUnavailable where it cannot be listened on.
  static Result<std::unique_ptr<StreamingServer>> Start(const Options& options);
  virtual ~StreamingServer() = default;  // ends all clients; waits for calls of theirs

  // A URL, good once and for a minute. kResourceExhausted where too many wait for their clients.
  virtual Result<std::string> Offer(StreamTicket ticket) = 0;
};

}  // namespace catamaran

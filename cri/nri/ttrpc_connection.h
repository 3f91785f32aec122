#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "cri/nri/frames.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// One socket between a runtime and a plugin of the Node Resource Interface: both ends call and both
// serve. Two threads of its own, one that reads and one that serves the peer's calls in their
// order. Thread-safe. The peer may be hostile: what it sends and does not read is bounded, and
// whatever breaks the protocol closes the connection.
class TtrpcConnection {
 public:
  struct Options {
    uint32_t calls_on = kPluginConnection;    // connection that our calls go out on
    uint32_t serves_on = kRuntimeConnection;  // connection that the peer's calls come in on
    // Serves a call: service, method, payload. An error is the peer's answer. May block.
    std::function<Result<std::string>(const std::string&, const std::string&, const std::string&)>
        serve;
    // Once, from the reading thread, when the connection is closed for whatever reason. May be
    // empty. It must not destroy the connection.
    std::function<void()> on_closed;
  };

  // Takes a connected stream socket. Nothing is read before Start.
  TtrpcConnection(UniqueFd socket, Options options);
  TtrpcConnection(const TtrpcConnection&) = delete;
  TtrpcConnection& operator=(const TtrpcConnection&) = delete;
  ~TtrpcConnection();  // closes, and waits for a call that is being served
  void Start();

  // What the peer answered.
  struct Answer {
    ErrorCode code = ErrorCode::kUnknown;  // where `refused`
    bool refused = false;
    std::string message;  // why
    std::string payload;
  };
  // Calls the peer and waits. An error means that there is no answer: kDeadlineExceeded,
  // kUnavailable (closed), kResourceExhausted (too long; the connection goes on).
  Result<Answer> Call(const std::string& service, const std::string& method,
                      const std::string& payload, Deadline deadline);

  void Close();
  bool closed() const { return closed_; }
  // Why the peer was cut off; empty where it went by itself.
  std::string reason() const;

 private:
  struct Waiting {
    bool done = false;
    std::string response;
  };

  void Read();
  void Serve();
  Status Handle(TtrpcMessage message);
  Status Respond(uint32_t stream, const Result<std::string>& result);
  Status Send(const TtrpcMessage& message, Deadline deadline);
  Status SendBytes(std::string_view bytes, Deadline deadline);
  Result<uint32_t> SendRequest(const std::string& envelope, const std::shared_ptr<Waiting>& waiting,
                               Deadline deadline);
  void CloseBecause(const std::string& reason);

  const UniqueFd socket_;
  const Options options_;
  std::atomic<bool> closed_ = false;
  std::timed_mutex send_mutex_;
  uint32_t next_stream_ = 1;  // guarded by send_mutex_: streams go out in order
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint32_t, std::shared_ptr<Waiting>> waiting_;  // by stream
  std::deque<TtrpcMessage> requests_;                     // not served yet
  std::string reason_;
  std::thread reader_;
  std::thread server_;
};

}  // namespace catamaran

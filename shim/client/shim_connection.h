#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "sandbox/protocol/backend_client.h"
#include "shim/client/shim_client.h"
#include "shim/client/watcher.h"

namespace catamaran {

// What the watcher's thread knows of one shim: its process, its connection, and the client's
// callbacks. A connection that breaks while the process lives is made again; what was missed in
// between is told as events. Methods run on the watcher's thread unless marked thread-safe.
class ShimConnection : public std::enable_shared_from_this<ShimConnection> {
 public:
  ShimConnection(EventLoop& loop, ShimPaths paths, UniqueFd pidfd, ShimClient::Events events)
      : loop_(loop),
        paths_(std::move(paths)),
        pidfd_(std::move(pidfd)),
        events_(std::move(events)) {}

  // Connects and says hello; done once. The process is watched from here on.
  void Open(Completion<pod::HelloResponse> done);
  // Null while there is no connection; why, says `reason`.
  BackendClient* client() { return client_.get(); }
  Error reason() const;
  void Close();  // no callback begins after it

  bool gone() const { return gone_; }         // thread-safe
  bool WaitGone(Deadline deadline);           // thread-safe, blocks
  int pidfd() const { return pidfd_.get(); }  // thread-safe
  void Mute() { muted_ = true; }              // thread-safe: no callback begins after it

 private:
  void Connect(Completion<pod::HelloResponse> done);
  void OnDisconnected(const Error& error);
  void Reconnect();
  void TellMissedExits();
  void OnProcessEnd();
  void Finish();

  EventLoop& loop_;
  const ShimPaths paths_;
  const UniqueFd pidfd_;
  const ShimClient::Events events_;
  EventLoop::Watch process_watch_, timer_;
  std::unique_ptr<BackendClient> client_;
  bool opened_ = false;
  bool closed_ = false;
  bool process_ended_ = false;
  std::atomic<bool> muted_ = false;
  std::atomic<bool> gone_ = false;
  std::mutex mutex_;
  bool finished_ = false;  // guarded by mutex_: on_gone has run
  std::condition_variable went_;
};

}  // namespace catamaran

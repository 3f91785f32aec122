#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"

namespace catamaran {

// One epoll loop on one thread: the whole of a shim and of an agent runs on it, and one thread of
// the daemon that watches its shims. Nothing called from it may block on a disk.
//
// Everything but Post and Stop is called from the loop's thread only (or before Run).
class EventLoop {
 public:
  // Events are EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR, EPOLLRDHUP.
  using FdCallback = UniqueFunction<void(uint32_t events)>;
  using Callback = UniqueFunction<void()>;

  // Keeps one registration alive; destroying it ends the callbacks at once, also those already
  // reported by the same epoll_wait. May be destroyed from within its own callback, and must not
  // outlive the loop.
  class Watch {
   public:
    Watch() = default;
    Watch(Watch&& other) noexcept;
    Watch& operator=(Watch&& other) noexcept;
    Watch(const Watch&) = delete;
    ~Watch() { Cancel(); }
    void Cancel();
    bool active() const { return loop_ != nullptr; }
    // Replaces the set of events of a file descriptor watch (0 pauses it).
    Status SetEvents(uint32_t events);

   private:
    friend class EventLoop;
    Watch(EventLoop* loop, uint64_t key) : loop_(loop), key_(key) {}
    EventLoop* loop_ = nullptr;
    uint64_t key_ = 0;
  };

  static Result<std::unique_ptr<EventLoop>> Create();
  ~EventLoop();

  // Level-triggered. The caller keeps owning fd and cancels the watch before closing it.
  Result<Watch> WatchFd(int fd, uint32_t events, FdCallback callback);
  // Runs once after `delay`.
  Result<Watch> RunAfter(std::chrono::milliseconds delay, Callback callback);
  // Runs when the process behind pidfd has ended (it is the caller that reaps it).
  Result<Watch> WatchProcess(int pidfd, Callback callback);

  // Runs callback on the loop's thread, soon, in the order posted. Thread-safe.
  void Post(Callback callback);

  // Runs until Stop. Returns an error only where epoll itself fails.
  Status Run();
  void Stop();  // thread-safe
  // One round: waits at most `timeout`, runs what is due. For tests and for start-up sequences.
  Status RunOnce(std::chrono::milliseconds timeout);

 private:
  struct Entry {
    FdCallback callback;
    int fd = -1;
    UniqueFd owned;  // the timerfd of a timer
  };

  EventLoop(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  Result<Watch> Register(int fd, uint32_t events, FdCallback callback, UniqueFd owned);
  void RunPosted();

  UniqueFd epoll_;
  UniqueFd wake_;
  uint64_t next_key_ = 1;
  std::unordered_map<uint64_t, std::shared_ptr<Entry>> entries_;
  std::mutex mutex_;  // guards posted_ and stopping_
  std::vector<Callback> posted_;
  bool stopping_ = false;
};

}  // namespace catamaran

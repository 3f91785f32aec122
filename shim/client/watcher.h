#pragma once

#include <map>
#include <memory>
#include <thread>

#include "sandbox/base/unique_fd.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// The daemon's one thread that watches every shim's connection and reaps the shims it started.
// The destructor ends the thread; it must not run on it.
class Watcher {
 public:
  static Result<std::shared_ptr<Watcher>> Create();
  ~Watcher();
  Watcher(const Watcher&) = delete;

  EventLoop& loop() { return *loop_; }
  // Reaps this child of ours when it ends, whoever still looks at it then. Thread-safe.
  void ReapLater(UniqueFd pidfd);

 private:
  explicit Watcher(std::unique_ptr<EventLoop> loop);

  struct Child {
    UniqueFd pidfd;
    EventLoop::Watch watch;
  };
  std::unique_ptr<EventLoop> loop_;
  uint64_t next_child_ = 1;
  std::map<uint64_t, Child> children_;  // loop's thread only
  std::thread thread_;
};

}  // namespace catamaran

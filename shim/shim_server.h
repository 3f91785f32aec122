#pragma once

#include <memory>
#include <string>

#include "sandbox/kernel/event_loop.h"
#include "sandbox/protocol/backend_server.h"
#include "shim/pod_shim.h"

namespace catamaran {

// Accepts daemons on the shim's socket and serves the pod to all of them until one asks for the
// shim's end. A connection of another user than root or our own is dropped unanswered.
class ShimServer {
 public:
  ShimServer(EventLoop& loop, PodShim& pod, UniqueFd listener, std::string build);
  Status Start();

 private:
  void Accept();
  void Shutdown(Done done);
  void StopWhenAnswered();

  EventLoop& loop_;
  PodShim& pod_;
  UniqueFd listener_;
  EventLoop::Watch accept_watch_, stop_timer_;
  int stop_rounds_ = 0;
  BackendServer server_;
};

}  // namespace catamaran

#pragma once

#include <memory>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// Connects to 127.0.0.1:port, then to [::1]:port, in a network namespace, without blocking.
// Destroying it gives up.
class PortDialer {
 public:
  using Dialled = UniqueFunction<void(Result<UniqueFd>)>;
  // network_fd: -1 is this process's own namespace. `done` once, not before this returns.
  PortDialer(EventLoop& loop, int network_fd, uint16_t port, Dialled done);

 private:
  enum class Family { kV4, kV6, kNone };
  void Try(Family family);
  Status Connect(Family family);
  void OnConnected();
  void Next(Error error);

  EventLoop& loop_;
  const int network_fd_;
  const uint16_t port_;
  Dialled done_;
  Family family_ = Family::kV4;
  UniqueFd socket_;
  EventLoop::Watch watch_;
  EventLoop::Watch timer_;
};

}  // namespace catamaran

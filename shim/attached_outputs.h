#pragma once

#include <list>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// Those who watch one stream of a container beside its log. A slow one slows the container down, as
// a terminal would; one that takes nothing for a second is dropped, so none stops it. Bounded by
// what is written between two looks at lags(). Loop's thread only.
class AttachedOutputs {
 public:
  static constexpr std::chrono::milliseconds kPatience{1000};

  // on_ready: lags() has become false.
  AttachedOutputs(EventLoop& loop, UniqueFunction<void()> on_ready)
      : loop_(loop), on_ready_(std::move(on_ready)) {}

  // The write end of a pipe, made non-blocking; nothing happens with an invalid one.
  Status Add(UniqueFd fd);
  void Write(std::string_view bytes);
  // Somebody has not taken all yet: whoever reads the container's output waits.
  bool lags() const { return lagging_ > 0; }
  // Nothing more comes: each is closed once it has taken the rest.
  void End();

 private:
  struct Output {
    UniqueFd fd;
    std::string rest;  // what it has not taken
    bool ending = false;
    EventLoop::Watch watch, patience;
  };
  using Place = std::list<Output>::iterator;

  void Flush(Place output);
  void AwaitTaking(Place output);
  void Drop(Place output);

  EventLoop& loop_;
  UniqueFunction<void()> on_ready_;
  std::list<Output> outputs_;
  size_t lagging_ = 0;  // outputs with a rest
};

}  // namespace catamaran

#pragma once

#include <deque>
#include <memory>

#include "sandbox/base/unique_function.h"

namespace catamaran {

// Runs steps one after the other in the order given, each from its start until it says it is
// finished. On the loop's thread only. Destroying it drops what has not begun.
class SerialQueue {
 public:
  using Finished = UniqueFunction<void()>;
  using Step = UniqueFunction<void(Finished)>;

  void Add(Step step) {
    state_->steps.push_back(std::move(step));
    if (!state_->busy) Next(state_);
  }

 private:
  struct State {
    std::deque<Step> steps;
    bool busy = false;
  };
  static void Next(const std::shared_ptr<State>& state) {
    while (!state->busy && !state->steps.empty()) {
      state->busy = true;
      Step step = std::move(state->steps.front());
      state->steps.pop_front();
      // Finished outlives the queue where a step does.
      step([weak = std::weak_ptr<State>(state)] {
        auto alive = weak.lock();
        if (!alive || !alive->busy) return;
        alive->busy = false;
        Next(alive);
      });
    }
  }
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace catamaran

#pragma once

#include <utility>
#include <vector>

#include "sandbox/base/unique_function.h"

namespace catamaran {

// The roll-back of a creation path: runs what was added, last first, when destroyed, unless
// dismissed. Steps must not fail loudly: they run on the way out of an error.
class Cleanup {
 public:
  Cleanup() = default;
  explicit Cleanup(UniqueFunction<void()> step) { Add(std::move(step)); }
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  Cleanup(Cleanup&&) = default;
  ~Cleanup() { Run(); }

  void Add(UniqueFunction<void()> step) { steps_.push_back(std::move(step)); }
  void Dismiss() { steps_.clear(); }
  void Run() {
    while (!steps_.empty()) {
      auto step = std::move(steps_.back());
      steps_.pop_back();
      step();
    }
  }

 private:
  std::vector<UniqueFunction<void()>> steps_;
};

}  // namespace catamaran

#pragma once

#include <condition_variable>
#include <mutex>

#include "sandbox/base/unique_function.h"

namespace catamaran {

// Short-lived threads for work that no caller waits for (ending a lost pod). Thread-safe.
class Background {
 public:
  Background() = default;
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background() { Finish(); }

  // Runs `work` on a thread of its own. After Finish has begun: drops it (what it would have done
  // is found by the next daemon's recovery).
  void Run(UniqueFunction<void()> work);
  // Waits for all that runs; accepts nothing new.
  void Finish();
  // Waits for all that runs now.
  void Drain();

 private:
  std::mutex mutex_;
  std::condition_variable idle_;
  int running_ = 0;
  bool finishing_ = false;
};

}  // namespace catamaran

#include "cri/pods/background.h"

#include <thread>

namespace catamaran {

void Background::Run(UniqueFunction<void()> work) {
  {
    std::lock_guard lock(mutex_);
    if (finishing_) return;
    ++running_;
  }
  std::thread([this, work = std::move(work)]() mutable {
    work();
    work = {};
    std::lock_guard lock(mutex_);
    // Notified under the lock: whoever waits may destroy this as soon as it is released.
    if (--running_ == 0) idle_.notify_all();
  }).detach();
}

void Background::Finish() {
  std::unique_lock lock(mutex_);
  finishing_ = true;
  idle_.wait(lock, [&] { return running_ == 0; });
}

void Background::Drain() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return running_ == 0; });
}

}  // namespace catamaran

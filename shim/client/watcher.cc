#include "shim/client/watcher.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

namespace catamaran {

Result<std::shared_ptr<Watcher>> Watcher::Create() {
  ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
  return std::shared_ptr<Watcher>(new Watcher(std::move(loop)));
}

Watcher::Watcher(std::unique_ptr<EventLoop> loop) : loop_(std::move(loop)) {
  thread_ = std::thread([this] {
    // Signals are the business of the daemon's other threads.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), "shim-watcher");
    (void)loop_->Run();
  });
}

Watcher::~Watcher() {
  loop_->Stop();
  thread_.join();
}

void Watcher::ReapLater(UniqueFd pidfd) {
  loop_->Post([this, pidfd = std::move(pidfd)]() mutable {
    const uint64_t key = next_child_++;
    const int fd = pidfd.get();
    auto watch = loop_->WatchProcess(fd, [this, key, fd] {
      siginfo_t info;
      waitid(P_PIDFD, fd, &info, WEXITED);
      children_.erase(key);
    });
    if (watch) children_[key] = {std::move(pidfd), std::move(*watch)};
  });
}

}  // namespace catamaran

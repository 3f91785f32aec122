// What the OOM killer does in a container's group, told while the container runs.
#include <sys/epoll.h>

#include "sandbox/container/container.h"

namespace catamaran {
namespace {

constexpr std::chrono::milliseconds kOomSettles(200);

}  // namespace

void Container::WatchOom() {
  // Without these events a kill is still noticed at the end.
  auto events = cgroup_->OpenOomEvents();
  if (!events) return;
  oom_events_ = std::move(*events);
  auto watch = sandbox_.loop->WatchFd(oom_events_.get(), EPOLLIN, [this](uint32_t) {
    Cgroup::DrainEvents(oom_events_.get());
    ReportOomKills();
    // On v1 the event precedes the kill that is counted.
    auto later = sandbox_.loop->RunAfter(kOomSettles, [this] { ReportOomKills(); });
    if (later) oom_settled_ = std::move(*later);
  });
  if (watch) oom_watch_ = std::move(*watch);
}

void Container::ReportOomKills() {
  auto kills = cgroup_ ? cgroup_->OomKills() : Result<uint64_t>(0);
  if (!kills || *kills <= oom_kills_) return;
  oom_kills_ = *kills;
  pod::Event event;
  event.mutable_oom()->set_container_id(spec_.container_id());
  sandbox_.emit(std::move(event));
}

}  // namespace catamaran

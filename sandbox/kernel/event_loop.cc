#include "sandbox/kernel/event_loop.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

namespace catamaran {
namespace {
constexpr uint64_t kWakeKey = 0;
}

EventLoop::Watch::Watch(Watch&& other) noexcept
    : loop_(std::exchange(other.loop_, nullptr)), key_(other.key_) {}

EventLoop::Watch& EventLoop::Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    Cancel();
    loop_ = std::exchange(other.loop_, nullptr);
    key_ = other.key_;
  }
  return *this;
}

void EventLoop::Watch::Cancel() {
  EventLoop* loop = std::exchange(loop_, nullptr);
  if (loop == nullptr) return;
  auto found = loop->entries_.find(key_);
  if (found == loop->entries_.end()) return;
  // A callback that is running owns a reference of its own, so it may cancel itself.
  auto entry = std::move(found->second);
  loop->entries_.erase(found);
  epoll_ctl(loop->epoll_.get(), EPOLL_CTL_DEL, entry->fd, nullptr);
}

Status EventLoop::Watch::SetEvents(uint32_t events) {
  auto found =
      loop_ == nullptr ? decltype(loop_->entries_)::iterator() : loop_->entries_.find(key_);
  if (loop_ == nullptr || found == loop_->entries_.end())
    return Fail(ErrorCode::kFailedPrecondition, "the watch was cancelled");
  epoll_event event{};
  event.events = events;
  event.data.u64 = key_;
  if (epoll_ctl(loop_->epoll_.get(), EPOLL_CTL_MOD, found->second->fd, &event) != 0)
    return FailWithErrno("epoll_ctl modify");
  return {};
}

Result<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return FailWithErrno("epoll_create1");
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return FailWithErrno("eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeKey;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0)
    return FailWithErrno("epoll_ctl add");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake)));
}

EventLoop::~EventLoop() = default;

Result<EventLoop::Watch> EventLoop::Register(int fd, uint32_t events, FdCallback callback,
                                             UniqueFd owned) {
  const uint64_t key = next_key_++;
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return FailWithErrno("epoll_ctl add fd {}", fd);
  entries_[key] = std::make_shared<Entry>(Entry{std::move(callback), fd, std::move(owned)});
  return Watch(this, key);
}

Result<EventLoop::Watch> EventLoop::WatchFd(int fd, uint32_t events, FdCallback callback) {
  return Register(fd, events, std::move(callback), UniqueFd());
}

Result<EventLoop::Watch> EventLoop::RunAfter(std::chrono::milliseconds delay, Callback callback) {
  UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer.valid()) return FailWithErrno("timerfd_create");
  const auto nanoseconds = std::chrono::nanoseconds(std::max(delay, std::chrono::milliseconds(0)));
  itimerspec when{};
  when.it_value.tv_sec = nanoseconds.count() / 1'000'000'000;
  when.it_value.tv_nsec = nanoseconds.count() % 1'000'000'000;
  if (nanoseconds.count() == 0) when.it_value.tv_nsec = 1;  // zero would disarm it
  if (timerfd_settime(timer.get(), 0, &when, nullptr) != 0) return FailWithErrno("timerfd_settime");
  const int fd = timer.get();
  return Register(
      fd, EPOLLIN,
      [fd, callback = std::move(callback)](uint32_t) mutable {
        uint64_t expirations;
        if (read(fd, &expirations, sizeof expirations) == sizeof expirations) callback();
      },
      std::move(timer));
}

Result<EventLoop::Watch> EventLoop::WatchProcess(int pidfd, Callback callback) {
  // A pidfd stays readable once its process has ended: the callback must run once only.
  return Register(
      pidfd, EPOLLIN | EPOLLONESHOT,
      [callback = std::move(callback)](uint32_t) mutable { callback(); }, UniqueFd());
}

void EventLoop::Post(Callback callback) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(callback));
  }
  const uint64_t one = 1;
  // The counter can only be full where a wake-up is pending already.
  [[maybe_unused]] auto count = write(wake_.get(), &one, sizeof one);
}

void EventLoop::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Post([] {});
}

void EventLoop::RunPosted() {
  std::vector<Callback> due;
  {
    std::lock_guard lock(mutex_);
    due.swap(posted_);
  }
  for (auto& callback : due) callback();
}

Status EventLoop::RunOnce(std::chrono::milliseconds timeout) {
  epoll_event events[64];
  const int count =
      epoll_wait(epoll_.get(), events, std::size(events), static_cast<int>(timeout.count()));
  if (count < 0 && errno != EINTR) return FailWithErrno("epoll_wait");
  for (int i = 0; i < count; ++i) {
    const uint64_t key = events[i].data.u64;  // a copy: the kernel's struct is packed
    if (key == kWakeKey) {
      uint64_t value;
      [[maybe_unused]] auto drained = read(wake_.get(), &value, sizeof value);
      continue;
    }
    const auto found = entries_.find(key);
    if (found == entries_.end()) continue;  // cancelled by an earlier callback of this round
    const std::shared_ptr<Entry> entry = found->second;
    entry->callback(events[i].events);
  }
  RunPosted();
  return {};
}

Status EventLoop::Run() {
  while (true) {
    {
      std::lock_guard lock(mutex_);
      if (stopping_) {
        stopping_ = false;
        return {};
      }
    }
    RETURN_IF_ERROR(RunOnce(std::chrono::hours(1)));
  }
}

}  // namespace catamaran

#include "cri/pods/container_events.h"

#include "cri/pods/cri_view.h"

namespace catamaran {
namespace {

namespace v1 = ::runtime::v1;

Told StageOf(const Container& container) {
  if (!container.record.published()) return Told::kNothing;
  switch (container.state()) {
    case ContainerState::kCreating:
      return Told::kNothing;
    case ContainerState::kCreated:
      return Told::kCreated;
    case ContainerState::kRunning:
    case ContainerState::kUnknown:
      return Told::kStarted;
    case ContainerState::kExited:
      return Told::kStopped;
    case ContainerState::kRemoving:
      break;
  }
  return container.told;
}

// A sandbox has stopped when its containers have.
Told StageOf(const Pod& pod) {
  if (!pod.record.published() || pod.state() == SandboxState::kCreating) return Told::kNothing;
  if (pod.state() == SandboxState::kReady) return Told::kStarted;
  for (const auto& [id, container] : pod.containers) {
    const Told stage = StageOf(*container);
    if (stage != Told::kNothing && stage != Told::kStopped) return pod.told;
  }
  return Told::kStopped;
}

// Of a container that has ended: it may have ended before its start was answered.
bool HasRun(const Container& container) {
  return container.record.started_at_ns() != 0 ||
         (container.starting && container.record.reason() != kStartError);
}

}  // namespace

ContainerEvents::Subscription::Subscription(ContainerEvents& events) : events_(events) {
  std::lock_guard lock(events_.mutex_);
  place_ = events_.subscriptions_.insert(events_.subscriptions_.end(), this);
  ++events_.subscribers_;
}

ContainerEvents::Subscription::~Subscription() {
  std::lock_guard lock(events_.mutex_);
  events_.subscriptions_.erase(place_);
  --events_.subscribers_;
}

Result<std::shared_ptr<const ContainerEvents::Event>> ContainerEvents::Subscription::Next(
    std::chrono::milliseconds patience) {
  std::unique_lock lock(events_.mutex_);
  events_.changed_.wait_for(lock, patience,
                            [this] { return behind_ || events_.ended_ || !waiting_.empty(); });
  if (behind_) {
    return Fail(
        ErrorCode::kResourceExhausted,
        "more than {} events or {} MiB waited for this subscriber: list, and subscribe again",
        kMostWaiting, kMostWaitingBytes >> 20);
  }
  if (events_.ended_) return Fail(ErrorCode::kAborted, "the daemon ends");
  if (waiting_.empty()) return std::shared_ptr<const Event>();
  auto [event, bytes] = std::move(waiting_.front());
  waiting_.pop_front();
  waiting_bytes_ -= bytes;
  return std::move(event);
}

void ContainerEvents::Subscription::Add(const std::shared_ptr<const Event>& event, size_t bytes) {
  if (behind_) return;
  // One alone is never too much: a subscriber that keeps up is told everything.
  behind_ = waiting_.size() >= kMostWaiting ||
            (!waiting_.empty() && waiting_bytes_ + bytes > kMostWaitingBytes);
  if (behind_) {
    waiting_.clear();
    waiting_.shrink_to_fit();
    return;
  }
  waiting_.push_back({event, bytes});
  waiting_bytes_ += bytes;
}

void ContainerEvents::Send(const Pod& pod, const std::string& id, v1::ContainerEventType type) {
  if (subscribers_ == 0) return;
  auto event = std::make_shared<Event>();
  event->set_container_id(id);
  event->set_container_event_type(type);
  event->set_created_at(NowNanoseconds());
  *event->mutable_pod_sandbox_status() = SandboxStatus(pod.record);
  for (const auto& [container_id, container] : pod.containers)
    if (container->record.published())
      *event->add_containers_statuses() = ContainerStatusOf(container->record);
  {
    const size_t bytes = event->SpaceUsedLong();
    std::lock_guard lock(mutex_);
    for (Subscription* subscription : subscriptions_) subscription->Add(event, bytes);
  }
  changed_.notify_all();
}

void ContainerEvents::Tell(Pod& pod) {
  // A sandbox begins before its containers and ends after them.
  const Told stage = StageOf(pod);
  if (pod.told < Told::kStarted && stage >= Told::kStarted) {
    pod.told = Told::kStarted;
    Send(pod, pod.id.value(), v1::CONTAINER_CREATED_EVENT);
    Send(pod, pod.id.value(), v1::CONTAINER_STARTED_EVENT);
  }
  for (auto& [id, container] : pod.containers) {
    const Told now = StageOf(*container);
    const Told before = container->told;
    if (now <= before) continue;
    container->told = now;
    if (before < Told::kCreated) Send(pod, id, v1::CONTAINER_CREATED_EVENT);
    if (before < Told::kStarted &&
        (now == Told::kStarted || (now == Told::kStopped && HasRun(*container))))
      Send(pod, id, v1::CONTAINER_STARTED_EVENT);
    if (now == Told::kStopped) Send(pod, id, v1::CONTAINER_STOPPED_EVENT);
  }
  if (pod.told == Told::kStarted && stage == Told::kStopped) {
    pod.told = Told::kStopped;
    Send(pod, pod.id.value(), v1::CONTAINER_STOPPED_EVENT);
  }
}

void ContainerEvents::TellDeleted(Pod& pod, const Container& container) {
  if (container.told != Told::kNothing)
    Send(pod, container.id.value(), v1::CONTAINER_DELETED_EVENT);
}

void ContainerEvents::TellDeleted(Pod& pod) {
  if (pod.told != Told::kNothing) Send(pod, pod.id.value(), v1::CONTAINER_DELETED_EVENT);
}

void ContainerEvents::MarkTold(Pod& pod) {
  for (auto& [id, container] : pod.containers) {
    container->told = Told::kStopped;  // one that is being removed
    container->told = StageOf(*container);
  }
  pod.told = Told::kStopped;
  pod.told = StageOf(pod);
}

void ContainerEvents::End() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
}

}  // namespace catamaran

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "cri/api/runtime.pb.h"
#include "cri/pods/pod.h"
#include "sandbox/base/result.h"

namespace catamaran {

// What happens to pods and containers, for those who asked to be told (GetContainerEvents):
// created, started, stopped, deleted; of one container always in this order and each once. It is
// found by comparing what was told with what is, so nothing that changes a state can forget to
// tell; what a record said when the daemon started was told by the one before.
//
// Thread-safe. Nobody waits for a subscriber: one that falls behind loses its subscription.
class ContainerEvents {
 public:
  using Event = ::runtime::v1::ContainerEventResponse;
  // Of one subscriber. An event carries all of its pod, annotations of any length included.
  static constexpr size_t kMostWaiting = 1000;
  static constexpr size_t kMostWaitingBytes = 16 << 20;

  class Subscription {
   public:
    explicit Subscription(ContainerEvents& events);
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    // The next one; null where none came within `patience`. kResourceExhausted where the subscriber
    // has fallen behind, kAborted where the daemon ends; nothing comes after either.
    Result<std::shared_ptr<const Event>> Next(std::chrono::milliseconds patience);

   private:
    friend class ContainerEvents;
    struct Waiting {
      std::shared_ptr<const Event> event;
      size_t bytes;
    };
    // The caller holds events_.mutex_.
    void Add(const std::shared_ptr<const Event>& event, size_t bytes);

    ContainerEvents& events_;
    std::list<Subscription*>::iterator place_;
    // Guarded by events_.mutex_.
    std::deque<Waiting> waiting_;
    size_t waiting_bytes_ = 0;
    bool behind_ = false;
  };

  // The caller holds pod.mutex. Cheap where nothing is new.
  void Tell(Pod& pod);
  void TellDeleted(Pod& pod, const Container& container);
  void TellDeleted(Pod& pod);
  // Of a pod that was loaded from its record: all that it says was told.
  static void MarkTold(Pod& pod);

  // Ends all subscriptions, and those that come.
  void End();

 private:
  void Send(const Pod& pod, const std::string& id, ::runtime::v1::ContainerEventType type);

  std::atomic<int> subscribers_ = 0;
  std::mutex mutex_;  // guards all below; taken after a pod's
  std::condition_variable changed_;
  std::list<Subscription*> subscriptions_;
  bool ended_ = false;
};

}  // namespace catamaran

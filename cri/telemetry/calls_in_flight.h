#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <string>
#include <vector>

namespace catamaran {

// The calls that are being answered, and what each is at: what tells a hung pod from a slow one.
// Thread-safe.
class CallsInFlight {
 public:
  using Clock = std::chrono::steady_clock;
  struct Call {
    std::string method;
    std::string pod;        // "namespace/name" of one that is being made, else an id; may be empty
    std::string container;  // likewise: a name, else an id
    std::string image;
    std::string step;  // what it is at, e.g. "network"; empty: nothing that takes long
    Clock::time_point began, step_began;
  };

  // For as long as it lives the call is in flight.
  class Entry {
   public:
    Entry(CallsInFlight& calls, Call call);
    Entry(const Entry&) = delete;
    ~Entry();
    void SetStep(const std::string& step);

   private:
    CallsInFlight& calls_;
    std::list<Call>::iterator call_;
  };

  std::vector<Call> List() const;  // the oldest first
  // That list, for the verbose Status and `catamaran why`.
  std::string Json() const;

 private:
  mutable std::mutex mutex_;
  std::list<Call> calls_;
};

}  // namespace catamaran

#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "cri/nri/methods.h"
#include "cri/nri/ttrpc_connection.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "shim/client/shim_spawn.h"

namespace catamaran {

// How long plugins get, and what they are told of this runtime.
struct NriTimes {
  std::chrono::milliseconds request{2000};
  // For registering, and for taking over the state of the node.
  std::chrono::milliseconds registration{5000};
};

// What a plugin answered, if it did.
struct NriReply {
  bool given = false;
  std::string payload;
  explicit operator bool() const { return given; }
};

// One plugin and its connection. Asked one thing at a time: whoever asks takes its turn first.
// Thread-safe but for what is said to be otherwise.
class NriPlugin {
 public:
  struct Parts {
    std::string index, name;  // of one that was launched; others say it when they register
    std::string config;       // what Configure gives it
    std::optional<SpawnedProcess> process;  // of one that was launched: ended and reaped with this
    NriTimes times;
    std::function<void(const std::string&)> notice;
    // Unsolicited updates and evictions; returns the updates that failed. From a thread of the
    // plugin's own.
    std::function<nri::UpdateContainersResponse(const nri::UpdateContainersRequest&)> update;
    std::function<void()> on_closed;  // it is of no use any more; must not destroy the plugin
  };
  NriPlugin(UniqueFd socket, Parts parts);
  NriPlugin(const NriPlugin&) = delete;
  NriPlugin& operator=(const NriPlugin&) = delete;
  ~NriPlugin();

  // Waits until it has registered, then configures it.
  Status Begin();
  // Gives it all that there is, in as many requests as that takes; returns what it wants updated.
  // The caller has its turn.
  Result<nri::UpdateContainerResponse> Synchronize(const nri::SynchronizeRequest& everything);

  // The turn to ask. kDeadlineExceeded where others keep it too long.
  Result<std::unique_lock<std::timed_mutex>> TakeTurn(Deadline deadline);

  // Asks by one method. Nothing: the plugin does not implement it, is closed, or was cut off just
  // now because it did not answer. An error is what it answered. The caller has its turn.
  Result<NriReply> Ask(std::string_view method, const std::string& payload);
  // Tells of an event, by the method of its own or as plugins of older versions know it.
  Status Tell(nri::Event event, const nri::EventRequest& request);

  bool Wants(nri::Event event) const { return (events_ & BitOf(event)) != 0; }
  bool closed() const { return connection_.closed(); }
  void Close() { connection_.Close(); }
  // Lets it know that the runtime goes, and ends it.
  void Shutdown();

  std::string full_name() const;  // "10-topology"
  // These two once it has begun.
  const std::string& index() const { return parts_.index; }
  const std::string& name() const { return parts_.name; }

  // Containers that it was told of as stopped already. Guarded by whoever lists the plugins.
  std::set<std::string> seen_stopped;

 private:
  Result<std::string> Serve(const std::string& method, const std::string& payload);
  Status Register(const nri::RegisterPluginRequest& request);
  Status Configure();
  Result<NriReply> AskWithin(std::string_view method, const std::string& payload,
                             std::chrono::milliseconds limit);
  void CutOff(std::string_view doing, const Error& error);

  Parts parts_;
  mutable std::mutex mutex_;
  std::condition_variable registered_;
  bool is_registered_ = false;   // guarded by mutex_; index and name do not change afterwards
  int32_t events_ = 0;           // set by Begin
  int32_t by_state_change_ = 0;  // guarded by turn_: events that it has no method of their own for
  std::timed_mutex turn_;
  TtrpcConnection connection_;  // last: its threads use what is above
};

// "10" and "topology" of "10-topology". kInvalidArgument where it is no plugin's name.
Status CheckPluginIndex(const std::string& index);
Status CheckPluginName(const std::string& name);

}  // namespace catamaran

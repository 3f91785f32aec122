#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cri/config/config.h"
#include "cri/nri/nri_plugin.h"
#include "cri/nri/plugin_answers.h"

namespace catamaran {

// What plugins are told of and may change. Called from any thread.
struct NriHost {
  // All pods and containers that plugins know of by the claims below. Called with no claim being
  // made; must not call back.
  std::function<nri::SynchronizeRequest()> snapshot;
  // Carries out what a plugin wants changed without having been asked; returns what failed. Blocks.
  std::function<std::vector<nri::ContainerUpdate>(const std::vector<nri::ContainerUpdate>&,
                                                  const std::vector<nri::ContainerEviction>&)>
      update;
  std::function<void(const std::string&)> notice;
};

// The plugins of this node (Node Resource Interface): those that connect to the socket, and those
// that are installed in a folder and started by this daemon. Thread-safe.
//
// Each event is told to every plugin that subscribed to it, in the order of their indices; a plugin
// is asked one thing at a time and has a limited time to answer, or is dropped. A plugin that joins
// is given the state of the node first: what happens meanwhile waits, and for each pod and
// container it is either in that state or told by its events, never both and never neither. For
// that, whoever tells an event passes a claim, which marks that it is being told; it is called
// under the lock under which a joining plugin's state is taken, so it may take a pod's mutex, and a
// pod's mutex must not be held when an event is told.
class NriPlugins {
 public:
  // Marks that the event is being told; false: it has been, or needs not be. Empty: always true.
  using Claim = std::function<bool()>;
  using Describe = std::function<nri::EventRequest()>;

  NriPlugins(NriConfig config, NriHost host);
  NriPlugins(const NriPlugins&) = delete;
  NriPlugins& operator=(const NriPlugins&) = delete;
  ~NriPlugins() { Stop(); }

  // Starts the installed plugins, waits for those that will come up, and listens; where another
  // daemon has the socket, once that has gone. An installed one that does not come up is noticed
  // and dropped; a socket that cannot be had is an error. Does nothing where it is disabled.
  Status Start();
  // Ends all plugins and their connections; later events reach nobody.
  void Stop();

  // Whether there is anybody to tell. For work that is only needed then.
  bool any() const { return any_; }

  // Tells an event. kRefused events (MayBeRefused) end with the first plugin that refuses, which is
  // the error; of all others errors are noticed only.
  Status Tell(nri::Event event, const Claim& claim, const Describe& describe, Deadline deadline);

  // Tells of new limits of a pod as a whole. The first plugin that refuses is the error.
  Status UpdatePodSandbox(const nri::UpdatePodSandboxRequest& request, Deadline deadline);

  // Asks all for adjustments of a container that is being created, each being shown what those
  // before it asked; then those that validate. `request` is the container before that.
  Result<PluginAnswers> CreateContainer(const Claim& claim, const nri::EventRequest& request,
                                        Deadline deadline);
  // `request.linux_resources` is what is wanted; the answer's update of the same container goes
  // over it.
  Result<PluginAnswers> UpdateContainer(const nri::UpdateContainerRequest& request,
                                        Deadline deadline);
  // Tells of a container that has ended; returns the updates of others that plugins want.
  PluginAnswers StopContainer(const Claim& claim, const Describe& describe, Deadline deadline);

 private:
  using PluginList = std::vector<std::shared_ptr<NriPlugin>>;

  // Those that have subscribed to it, in their order; none where the claim fails.
  PluginList Claimed(nri::Event event, const Claim& claim, bool* claimed);
  Status Validate(const nri::EventRequest& request, const PluginList& asked,
                  const PluginAnswers& answers, Deadline deadline);

  // ---- Plugins that come and go (nri_plugins_joining.cc) ----
  NriPlugin::Parts NewParts();
  // From the connection to the first event.
  void Join(const std::shared_ptr<NriPlugin>& plugin);
  Status Synchronize(const std::shared_ptr<NriPlugin>& plugin);
  Status LaunchInstalled();
  Result<std::shared_ptr<NriPlugin>> Launch(const std::string& index, const std::string& name);
  Status Listen();
  void Accept();
  void TakeConnection();
  void DropClosed();
  void Wake();

  struct Session {
    std::thread thread;
    std::shared_ptr<NriPlugin> plugin;
    std::atomic<bool> done = false;
  };

  const NriConfig config_;
  const NriHost host_;
  std::atomic<bool> any_ = false;
  std::atomic<bool> stopping_ = false;
  std::mutex order_;    // claims, snapshots and the list: before any pod's mutex
  PluginList plugins_;  // guarded by order_; by index
  UniqueFd wake_;       // eventfd: a plugin has closed, or this stops
  UniqueFd listener_;
  std::list<Session> sessions_;  // of plugins that join; used by the accepting thread only
  std::thread acceptor_;
};

}  // namespace catamaran

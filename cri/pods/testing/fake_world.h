#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cri/images/image_store.h"
#include "cri/network/pod_network.h"
#include "cri/pods/pod_cgroups.h"
#include "shim/client/shim_client.h"

namespace catamaran {

// What outlives a daemon, for tests of cri/pods: shims and their containers, attached networks,
// leases, cgroups. Daemons are made and dropped upon it; every step can be made to fail. Processes
// behave as their first argument says:
//
//   exit N    ends with N as soon as it is started       trap   only SIGKILL ends it
//   print T   (exec) writes T to stdout, ends with 0     child  (exec) ends, its output stays open
//   flood N   (exec) writes N bytes to stdout, ends      else   runs until a signal ends it
class FakeWorld {
 public:
  explicit FakeWorld(HostPath folder) : folder_(std::move(folder)) {}

  // Called at each step ("attach", "spawn", "create-sandbox", ...) before it does anything; an
  // error makes the step fail.
  std::function<Status(const std::string& step)> on_step;

  struct Shim {
    bool frozen = false;    // takes no more calls: they run into their deadline
    bool prepared = false;  // ahead of its pod
    bool sandbox_ready = false;
    std::string cgroup;
    UniqueFd lock;
    std::map<std::string, spec::ContainerStatus> containers;
    std::map<std::string, std::vector<std::string>> args;
    std::map<std::string, Stdio> execs;       // running ones, by exec id
    std::map<std::string, int> stop_signals;  // how many signals but SIGKILL a container got
    std::vector<pod::UpdateResourcesRequest> updates;
    ShimClient::Events events;  // of the daemon that is connected
  };
  // By pod id; a shim that is gone is no more among them.
  std::map<std::string, std::shared_ptr<Shim>> shims;
  std::set<std::string> attached;
  std::map<std::string, std::set<std::string>> leases;  // holder -> images
  std::set<std::string> cgroups;
  std::mutex mutex;  // guards all of these; never held while a daemon is called back

  Status Step(const std::string& step);
  std::shared_ptr<Shim> Find(const std::string& pod);
  // The shim's process dies; its daemon notices.
  void KillShim(const std::string& pod);
  // A container of it ends.
  void Exit(const std::string& pod, const std::string& container, int code, bool oom = false);
  // Nothing of any pod is left.
  bool Empty();
  std::string Describe();

  std::unique_ptr<ShimManager> NewShimManager();
  ImageStore& images() { return *images_; }
  PodNetwork& network() { return *network_; }
  PodCgroups& cgroup_driver() { return *cgroup_driver_; }
  static std::unique_ptr<FakeWorld> Create(const HostPath& folder);

 private:
  HostPath folder_;
  std::unique_ptr<ImageStore> images_;
  std::unique_ptr<PodNetwork> network_;
  std::unique_ptr<PodCgroups> cgroup_driver_;
};

std::unique_ptr<ImageStore> MakeFakeImages(FakeWorld& world);
std::unique_ptr<PodNetwork> MakeFakeNetwork(FakeWorld& world);
std::unique_ptr<PodCgroups> MakeFakeCgroups(FakeWorld& world);
std::unique_ptr<ShimManager> MakeFakeShims(FakeWorld& world);

inline constexpr char kFakeImage[] =
    "sha256:1111111111111111111111111111111111111111111111111111111111111111";

}  // namespace catamaran

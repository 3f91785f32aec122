#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "e2e/harness/cri_client.h"
#include "e2e/harness/private_world.h"
#include "sandbox/kernel/cgroup.h"

namespace catamaran::e2e {

// A CRI runtime that is measured: one daemon and all that it starts. Those the benchmark starts
// live in a cgroup of their own with everything that comes of them, so that no process' CPU time is
// missed however short it lived. Ends its daemon when destroyed; pods end with the private world.
class Runtime {
 public:
  // This tree's, with handlers "ns" and "vm" and this kind of network ("builtin", "cni"). pool: of
  // the handler "vm", machines that wait.
  static Result<std::unique_ptr<Runtime>> StartCatamaran(const WorldPaths& world,
                                                         const std::string& network, int pool = 0);
  // Debian's containerd with handlers "runc", and "crun" where that is installed; its pods' first
  // process comes from pause_image.
  static Result<std::unique_ptr<Runtime>> StartContainerd(const WorldPaths& world,
                                                          const std::string& pause_image);
  // One that runs already: neither its CPU time nor its memory are known.
  static Result<std::unique_ptr<Runtime>> Connect(const std::string& endpoint);

  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime();

  const std::string& name() const { return name_; }        // "catamaran", "catamaran cni"
  const std::string& version() const { return version_; }  // "catamaran 0.1.0", with its helpers'
  CriClient& cri() { return *cri_; }
  pid_t daemon() const { return daemon_; }  // 0: not ours
  // Waits until so many machines wait for pods of its handler "vm"; how many pods took one so far.
  Result<int> AwaitFullPool(int wanted);
  // CPU time of all its processes up to now, the ended ones included, in milliseconds.
  Result<double> CpuMilliseconds() const;
  // All its living processes, the containers' own too.
  Result<std::vector<pid_t>> Processes() const;
  // For LinuxPodSandboxConfig: below it everything is counted.
  const std::string& cgroup_parent() const { return cgroup_parent_; }

 private:
  explicit Runtime(std::string name) : name_(std::move(name)) {}
  // Starts the daemon in a group of its own and waits until it answers on this socket.
  Status Start(const WorldPaths& world, const std::vector<std::string>& command,
               const std::string& log, const std::string& socket);
  Status ReadVersion();

  std::string name_, version_, cgroup_parent_;
  std::unique_ptr<CriClient> cri_;
  std::optional<Cgroup> group_;
  pid_t daemon_ = 0;
};

}  // namespace catamaran::e2e

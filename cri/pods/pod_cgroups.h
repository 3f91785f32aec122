#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cri/config/config.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "shim/client/shim_paths.h"

namespace catamaran {

// What the daemon does to cgroups: it makes the one that all its pods are below, sees to it that
// shims are in their pods', and ends and removes those, whatever shims and the engine have made in
// them. One kind for each driver, see cri/cgroups. Paths are absolute below each hierarchy's root.
// Thread-safe; all block.
class PodCgroups {
 public:
  virtual ~PodCgroups() = default;

  // Makes the group, and what is missing above it, where it is not there yet.
  virtual Status Make(const std::string& path) = 0;
  // The pod's group as its shim is told it at its start, to join it before all else; empty where
  // the shim is to wait for Admit.
  virtual std::string JoinedByShim(const std::string& path) const { return path; }
  // Puts a shim that has just started, and has no children yet, into the pod's group (leaf "shim"),
  // which is made. After a failure it may be there or not.
  virtual Status Admit(const ShimPaths& shim, const std::string& path, Deadline deadline) {
    (void)shim, (void)path, (void)deadline;
    return {};
  }
  // Moves all processes of one group (not of those below it) to another, which is made. What they
  // have used of memory so far stays charged to the first, or to the one above once that is gone.
  virtual Status Move(const std::string& from, const std::string& to, Deadline deadline) = 0;
  // Kills every process in the group and below and waits until none is left. Absent is fine.
  virtual Status Kill(const std::string& path, Deadline deadline) = 0;
  // Removes the group, which holds no process, and those below it. Absent is fine.
  virtual Status Remove(const std::string& path, Deadline deadline) = 0;
  // Groups of pods, of this daemon or of one before it, but those that are known: what to sweep.
  struct Found {
    std::string pod, path;
  };
  virtual Result<std::vector<Found>> FindPods(
      const std::function<bool(const std::string& pod)>& is_known, Deadline deadline) = 0;
};

// Of this machine, by the configuration's driver. kFailedPrecondition where that cannot work here.
Result<std::unique_ptr<PodCgroups>> OpenPodCgroups(const Config& config);

}  // namespace catamaran

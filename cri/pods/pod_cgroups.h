#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"

namespace catamaran {

// What the daemon does to cgroups: it makes the one that all its pods are below, and ends and
// removes those of pods, which shims and the engine make. Paths are absolute below each
// hierarchy's root. Thread-safe; all block.
class PodCgroups {
 public:
  virtual ~PodCgroups() = default;

  // Makes the group, and what is missing above it, where it is not there yet.
  virtual Status Make(const std::string& path) = 0;
  // Moves all processes of one group (not of those below it) to another, which is made. What they
  // have used of memory so far stays charged to the first, or to the one above once that is gone.
  virtual Status Move(const std::string& from, const std::string& to) = 0;
  // Kills every process in the group and below and waits until none is left. Absent is fine.
  virtual Status Kill(const std::string& path, Deadline deadline) = 0;
  // Removes the group, which holds no process, and those below it. Absent is fine.
  virtual Status Remove(const std::string& path, Deadline deadline) = 0;
  // Names of the groups directly below; none where the group is absent.
  virtual Result<std::vector<std::string>> Children(const std::string& path) = 0;
};

// Of this machine.
Result<std::unique_ptr<PodCgroups>> OpenPodCgroups();

}  // namespace catamaran

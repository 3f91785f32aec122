#pragma once

#include <memory>
#include <string>

#include "cri/pods/pod_cgroups.h"
#include "sandbox/kernel/cgroup.h"

namespace catamaran {

// Groups of pods in transient scopes of systemd, see cri/cgroups. `by_files` does what is done to
// groups by files, which is all but making scopes and ending them; also to groups of pods that were
// made with the other driver. `run`: the daemon's run directory, by which its scopes are known.
// kFailedPrecondition where this machine has no cgroup v2 alone, or no systemd that answers.
Result<std::unique_ptr<PodCgroups>> OpenSystemdCgroups(std::shared_ptr<const CgroupTree> tree,
                                                       std::unique_ptr<PodCgroups> by_files,
                                                       const std::string& run);

}  // namespace catamaran

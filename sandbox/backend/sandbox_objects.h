#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/spec/sandbox_spec.pb.h"

// What a sandbox leaves on the machine besides processes and mounts. Used by the namespace backend
// alone.
namespace catamaran {

// The sandbox's files, as the containers will find them, in its state directory.
Status WriteSandboxFiles(const spec::SandboxSpec& sandbox);

// Kills and removes the groups of containers below the pod's group at `path`, also of those that
// nobody remembers, then the pod's own; the leaf of a shim that lives stays, and what holds it.
// Blocks until the kernel has let go of the processes.
Status RemoveSandboxGroups(const CgroupTree& tree, const std::string& path);

// Freezes groups, or thaws them. Blocks until it is so.
Status FreezeGroups(const CgroupTree& tree, const std::vector<std::string>& paths, bool freeze);

}  // namespace catamaran

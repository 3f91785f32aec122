#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// What a sandbox may use in all: its containers' share and, on top, what running it costs (a VMM, a
// shim). What the containers' share does not limit stays without a limit. Pure.
spec::Resources AddOverhead(const spec::Resources& resources, const spec::Resources& overhead);

// Limits everything in the group at `path` together. A memory limit below what is in use is
// kFailedPrecondition: the kernel would kill something (v2) or refuse it (v1). May block: a lower
// limit makes the writer reclaim.
Status LimitSandboxGroup(const CgroupTree& tree, const std::string& path,
                         const spec::Resources& resources);

}  // namespace catamaran

#pragma once

#include <vector>

#include "cri/config/config.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/probes/probe.h"
#include "shim/client/probe_flags.h"

namespace catamaran {

// The shim's program as the daemon keeps it for all pods.
// Not valid where there is none, which is a finding.
UniqueFd OpenShimProgram(const HostPath& path, const ProbeRunner& run);

// Runs `catamaran-shim probe` to its end and returns what it found; what stands behind the seam is
// none of the daemon's business. A program that stays silent is killed with what it started, and
// that is a finding too.
std::vector<Finding> RunShimProbes(const UniqueFd& program, const ProbeFlags& flags);

}  // namespace catamaran

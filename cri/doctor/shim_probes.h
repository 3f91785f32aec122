#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cri/config/config.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/probes/finding.h"
#include "shim/client/probe_flags.h"

namespace catamaran {

// The shim's program as the daemon keeps it for all pods.
struct ShimProgram {
  UniqueFd fd;  // not valid where the finding is kMissing
  Finding finding;
};
ShimProgram OpenShimProgram(const HostPath& path);

// Runs `catamaran-shim probe` to its end and returns what it found; what stands behind the seam is
// none of the daemon's business. A program that stays silent is killed with what it started, and
// that is a finding too.
std::vector<Finding> RunShimProbes(const ShimProgram& program, const ProbeFlags& flags);

}  // namespace catamaran

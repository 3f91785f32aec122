#pragma once

#include <vector>

#include "cri/config/config.h"
#include "sandbox/probes/finding.h"

namespace catamaran {

inline constexpr char kDefaultKubeletConfig[] = "/var/lib/kubelet/config.yaml";

// Reads this node's kubelet configuration, and kubeadm's flags beside it, and checks what it says
// against the daemon's own. A node without one is kDegraded: nothing could be checked.
std::vector<Finding> ProbeKubelet(const Config& config, const HostPath& file);

}  // namespace catamaran

#pragma once

#include "cri/config/config.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

inline constexpr char kDefaultKubeletConfig[] = "/var/lib/kubelet/config.yaml";

// Reads this node's kubelet configuration, and kubeadm's flags beside it, and checks what it says
// against the daemon's own. A node without one is kDegraded: nothing could be checked.
void ProbeKubelet(const Config& config, const HostPath& file, const ProbeRunner& run);

}  // namespace catamaran

#pragma once

#include "cri/config/config.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

// What the configured network needs: for the built-in one its rule set, a pod's link and the
// addresses, tried in network namespaces that end with the probe; for CNI the configuration and
// its plugins.
void ProbeNetwork(const Config& config, const ProbeRunner& run);

}  // namespace catamaran

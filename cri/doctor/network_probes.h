#pragma once

#include <vector>

#include "cri/config/config.h"
#include "sandbox/probes/finding.h"

namespace catamaran {

// What the configured network needs: for the built-in one its rule set, a pod's link and the
// addresses, tried in network namespaces that end with the probe; for CNI the configuration and
// its plugins.
std::vector<Finding> ProbeNetwork(const Config& config);

}  // namespace catamaran

#pragma once

#include <chrono>

#include "cri/config/config.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

// What the configured network needs: for the built-in one its rule set, a pod's link and the
// addresses, tried in network namespaces that end with the probe; for CNI the configuration and
// its plugins.
// `patience` is the runner's: programs that are run end before it does.
void ProbeNetwork(const Config& config, std::chrono::milliseconds patience, const ProbeRunner& run);

}  // namespace catamaran

#pragma once

#include <chrono>

#include "cri/config/config.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

// The network that the CNI configuration folder describes, and its plugins: each is found, speaks
// the network's version (VERSION), and says that it is ready where it can (STATUS).
// Plugins are killed after `patience`.
void ProbeCniNetwork(const Config& config, std::chrono::milliseconds patience,
                     const ProbeRunner& run);

}  // namespace catamaran

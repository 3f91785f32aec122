#pragma once

#include "cri/config/config.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

// The network that the CNI configuration folder describes, and its plugins: each is found, speaks
// the network's version (VERSION), and says that it is ready where it can (STATUS).
void ProbeCniNetwork(const Config& config, const ProbeRunner& run);

}  // namespace catamaran

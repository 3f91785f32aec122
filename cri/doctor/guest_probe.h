#pragma once

#include "cri/config/config.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

// Whether the guest that `catamaran guest build` made has the agent of this version: an upgrade of
// the programs alone leaves the older one in it. A guest that was made otherwise has no such line.
void ProbeGuest(const HandlerConfig& handler, const HostPath& agent, const ProbeRunner& run);

}  // namespace catamaran

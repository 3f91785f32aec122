#pragma once

#include "cri/config/config.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

// What the daemon keeps and where: who runs this, root and run folder, space, the socket.
void ProbeFolders(const Config& config, const ProbeRunner& run);

}  // namespace catamaran

#pragma once

#include <string>

#include "cri/config/config.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

// What the daemon keeps and where: who runs this, root and run folder, space, the socket.
void ProbeFolders(const Config& config, const ProbeRunner& run);

// "ext4", "tmpfs"; "file system 0x1234" for one that is not known by name.
std::string FilesystemName(long magic);

}  // namespace catamaran

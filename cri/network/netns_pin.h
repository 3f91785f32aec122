#pragma once

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// Makes a network namespace with lo up and pins it at this path by a bind mount, so that it lives
// without any process. Returns a descriptor of it. The folder must exist; a file that is in the
// way is removed. Undoes itself when it fails.
Result<UniqueFd> PinNewNetworkNamespace(const HostPath& path);
// The same with one that was made already.
Status PinNetworkNamespace(int namespace_fd, const HostPath& path);
// Absent is fine. The namespace goes with its last process.
Status UnpinNetworkNamespace(const HostPath& path);

}  // namespace catamaran

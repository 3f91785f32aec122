#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/container/plan.h"

namespace catamaran {

// Nothing is mounted over a container's procfs: a false one would take what is written to it, and
// would show nothing at the paths that are to be masked (CVE-2019-16884, CVE-2023-27561). Excepted
// are the single files that lxcfs and the like put there.

// By name, when a mount is planned: kInvalidArgument names the field. Nor over the root itself.
Status CheckMountTarget(const std::string& target, const std::string& field);

// By what the name led to, when it is attached: a link of the image may stand for /proc. `proc_fd`
// is the container's procfs, or -1 as long as there is none.
Status CheckMountPoint(const PlannedMount& mount, int target_fd, int proc_fd);

}  // namespace catamaran

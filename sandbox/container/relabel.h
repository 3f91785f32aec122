#pragma once

#include <string>

#include "sandbox/base/result.h"

namespace catamaran {

// Gives a file, or a folder and all below it, an SELinux label (the attribute security.selinux).
// Links are not followed, other mounts not entered; a file system without labels is left as it is,
// and what vanishes meanwhile is no error. Changes the working directory while it
// runs, so for single-threaded callers only. Blocks on the disk.
Status RelabelTree(const std::string& path, const std::string& label);
// The same for the root of a mount alone, whose descriptor this is.
Status RelabelRoot(int mount_fd, const std::string& label);

}  // namespace catamaran

#pragma once

#include <string>
#include <string_view>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// Paths below a root that somebody else may fill with symbolic links and may change while we look:
// a container's root file system, a volume. The answer is always a descriptor of what was found,
// to be acted on as such; the string is never resolved a second time. ".." and absolute links stay
// below the root; magic links (/proc/self/fd/7, CVE-2024-21626) are refused. None of this opens
// the object itself (O_PATH) unless `flags` ask for it, so a FIFO or a device does nothing.

// openat2(2) with RESOLVE_IN_ROOT; EAGAIN (a rename raced) is retried. kNotFound where absent.
Result<UniqueFd> OpenInRoot(int root_fd, std::string_view path, int flags);

enum class TargetKind { kDirectory, kFile };

// As OpenInRoot with O_PATH, but makes what is missing: folders 0755 and, for kFile, an empty file
// 0644 at the end. A link that points to nothing is followed below the root and what it names is
// made. kFailedPrecondition where the object exists and is of the other kind.
Result<UniqueFd> OpenOrCreateInRoot(int root_fd, std::string_view path, TargetKind kind);

// As OpenOrCreateInRoot for a folder directly below the root whose name must not be a symbolic
// link: /proc, /sys and /dev of an image (CVE-2019-19921, CVE-2023-27561). kInvalidArgument if so.
Result<UniqueFd> OpenOrCreateRealDirectory(int root_fd, const std::string& name);

}  // namespace catamaran

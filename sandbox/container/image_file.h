#pragma once

#include <string>

#include "sandbox/base/result.h"

namespace catamaran {

// A small file of an image, which is hostile: "etc/passwd" below its root. Links stay in the root,
// nothing but a regular file is opened, and no more than 1 MiB is read: kInvalidArgument for
// anything else (CVE-2024-9676, CVE-2026-47262). "" where it is missing.
Result<std::string> ReadImageFile(int rootfs_fd, const char* path);

}  // namespace catamaran

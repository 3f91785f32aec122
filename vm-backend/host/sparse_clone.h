#pragma once

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// Makes `target` (which must not exist, mode 0600) a copy of a sparse file that takes no more disk
// than the original: by reflink where the file system has it, else the data extents only. Blocks on
// the disk. Removes target where it fails.
Status CloneSparse(const HostPath& source, const HostPath& target);

}  // namespace catamaran

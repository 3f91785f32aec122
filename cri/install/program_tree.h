#pragma once

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// Whether two folders hold the same names, kinds, modes, contents and links, the other besides what
// `one` has packed (packed_disk.h). An absent one is the same as none.
Result<bool> TreesAreEqual(const HostPath& one, const HostPath& other);

// Puts a copy of `from` in the place of `to` at once: what runs from there goes on with its own
// files, and who starts anew finds the old ones or the new ones, whole. What a copy that was
// interrupted left beside `to` is removed. A packed disk is unpacked there. Blocks on the disk.
Status ReplaceTree(const HostPath& from, const HostPath& to);

}  // namespace catamaran

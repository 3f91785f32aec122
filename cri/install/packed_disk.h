#pragma once

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// The guest's disk in an image: a tar archive of it with its holes, as eight GiB of zeros would
// else be written wherever the image is unpacked. In a tree on a node it has its own form.
inline constexpr char kPackedDisk[] = "guest/writable.tar";
inline constexpr char kUnpackedDisk[] = "guest/writable.img";

// Unpacks the disk of this tree; nothing where it has none. Blocks on the disk.
Status UnpackDisk(const HostPath& tree);

}  // namespace catamaran

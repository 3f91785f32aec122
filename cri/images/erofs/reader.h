#pragma once

#include <cstdint>

#include "cri/images/erofs/tree.h"
#include "sandbox/base/result.h"

namespace catamaran::erofs {

// Reads the tree of an image that BlobWriter wrote (no other layouts, one metadata area behind the
// data). Every number is checked against the file: kDataLoss where one does not fit, so that a
// damaged blob never leads outside it. Does not read file data. `size` is the file's.
Result<FileTree> ReadTree(int fd, uint64_t size);

}  // namespace catamaran::erofs

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

struct LayerFile {
  HostPath path;
  uint64_t size_bytes = 0;  // a multiple of 4096
};

// Writes the metadata that makes one EROFS of several: its block addresses point into
// [this file, layers...] laid end to end, bottom layer first, each with its full size. Nothing of
// the layers' data is read or copied. The file's size (returned) is a multiple of 2 MiB. `fd` is
// the caller's, an empty file. kDataLoss where a layer is damaged.
Result<uint64_t> WriteMergedMetadata(int fd, const std::vector<LayerFile>& layers,
                                     const std::string& image_id);

// Writes the blob to put on top of `layers` where overlayfs merges them: see
// erofs::LayerMerger::AttributeLayer. Returns its size, 0 (and nothing written) where none is
// needed.
Result<uint64_t> WriteAttributeLayer(int fd, const std::vector<LayerFile>& layers,
                                     const std::string& image_id);

}  // namespace catamaran

#pragma once

#include <string>

#include "cri/images/layer/byte_source.h"
#include "cri/images/layer/layer_tree.h"
#include "sandbox/base/result.h"

namespace catamaran {

struct ConvertedLayer {
  std::string diff_id;            // "sha256:..." of the plain archive
  std::string compressed_digest;  // of the bytes as they came, in the algorithm asked for
  uint64_t compressed_bytes = 0;
  uint64_t size_bytes = 0;  // of the blob
  uint32_t checksum = 0;    // of the blob, see erofs::Output
  // Some folder besides the root is only there as a parent of others.
  bool implicit_folders = false;
};

// Turns one layer archive (tar; plain, gzip or zstd) into an EROFS blob in one pass, with both
// digests. `fd` is an empty file, opened for writing, that the caller owns and syncs. Blocking.
// Errors: kInvalidArgument for malformed archives, kResourceExhausted beyond the limits, those of
// `from`. Afterwards the file is only good where this succeeded.
Result<ConvertedLayer> ConvertLayer(ByteSource& from, int fd,
                                    Hasher::Algorithm compressed_algorithm,
                                    const LayerLimits& limits = {});

}  // namespace catamaran

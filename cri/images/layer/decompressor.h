#pragma once

#include <memory>

#include "cri/images/layer/byte_source.h"
#include "sandbox/base/result.h"

namespace catamaran {

enum class Compression { kNone, kGzip, kZstd };

// By the first bytes: gzip 1f8b, zstd 28b52ffd or a skippable frame (RFC 1952, RFC 8878).
Compression DetectCompression(const char* start, size_t size);

// Plain bytes of `from`, which may be gzip with any number of members, zstd with any number of
// frames, or plain already. The rest of `from` is consumed up to its end. Errors: kInvalidArgument
// where the data is corrupt, cut off or followed by something else. Memory: at most 128 MiB for a
// zstd window, under 1 MiB otherwise. `from` must outlive the result.
Result<std::unique_ptr<ByteSource>> Decompress(ByteSource& from);

}  // namespace catamaran

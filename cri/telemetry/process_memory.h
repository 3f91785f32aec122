#pragma once

#include <sys/types.h>

#include <cstdint>

#include "sandbox/base/result.h"

namespace catamaran {

// Bytes that would be free if this process ended (smaps_rollup's private pages, and swap): of a
// cloned machine what it does not share with its template. kNotFound where there is no process.
Result<uint64_t> PrivateMemoryOf(pid_t process);

}  // namespace catamaran

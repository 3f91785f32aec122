#pragma once

#include "cri/config/config.h"
#include "sandbox/base/result.h"

namespace catamaran {

// `catamaran serve`: the daemon, from its locks to its last call. Returns once SIGTERM or SIGINT
// came and the calls in flight have ended; pods go on running. `ready_fd` is told when it serves
// (-1: nobody); it is closed then.
Status Serve(const Config& config, int ready_fd);

}  // namespace catamaran

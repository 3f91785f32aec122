#pragma once

#include <functional>

#include "cri/config/config.h"
#include "sandbox/base/result.h"

namespace catamaran {

// `catamaran serve`: the daemon, from its locks to its last call. Returns once SIGTERM or SIGINT
// came and the calls in flight have ended; pods go on running. At SIGHUP `read_again` gives the
// configuration as it is then. `ready_fd` is told when it serves (-1: nobody); it is closed then.
Status Serve(const Config& config, const std::function<Result<Config>()>& read_again, int ready_fd);

}  // namespace catamaran

#pragma once

#include <string>

#include "cri/config/config.h"
#include "sandbox/base/result.h"

namespace catamaran {

// `catamaran image load|list`. One process owns the image store: where a daemon serves this root
// the work is handed to it, else the store is opened here. Results go to standard output, progress
// to standard error.
Status ImageLoadCommand(const Config& config, const std::string& source,
                        const std::string& reference);
Status ImageListCommand(const Config& config);

}  // namespace catamaran

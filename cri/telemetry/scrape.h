#pragma once

#include <string>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// What a daemon's MetricsServer says now on its unix socket. kUnavailable where nobody answers.
Result<std::string> Scrape(const HostPath& socket, Deadline deadline);

}  // namespace catamaran

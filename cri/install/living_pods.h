#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// The ids of pods that run, by their shims' locks below the run directory: known without a daemon.
// Machines that wait in a pool, which end with their daemon, are none.
Result<std::vector<std::string>> LivingPods(const HostPath& run);

}  // namespace catamaran

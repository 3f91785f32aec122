#pragma once

#include "e2e/harness/private_world.h"

namespace catamaran::e2e {

// Prints what the world's daemon said last to standard error, for whoever reads CI's output.
void ShowEndOfLog(const WorldPaths& paths);

}  // namespace catamaran::e2e

// Linked in the place of exec_sync_limits.cc, into a test.
#include <cstdint>

#include "cri/pods/exec_sync_limits.h"

namespace catamaran {

const ExecSyncLimits kExecSyncLimits{SIZE_MAX, std::chrono::hours(1)};

}  // namespace catamaran

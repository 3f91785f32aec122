#include "cri/pods/exec_sync_limits.h"

namespace catamaran {

// The answer fits into one gRPC message of 16 MiB.
const ExecSyncLimits kExecSyncLimits{(16 << 20) - 4096, std::chrono::seconds(1)};

}  // namespace catamaran

#pragma once

#include <chrono>
#include <cstddef>

namespace catamaran {

// What a command in a container may cost the daemon (CVE-2022-31030).
struct ExecSyncLimits {
  size_t output;               // bytes kept of both streams together; what is beyond is dropped
  std::chrono::seconds drain;  // for children that hold the pipes after the command's own end
};
extern const ExecSyncLimits kExecSyncLimits;

}  // namespace catamaran

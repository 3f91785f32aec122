#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran::e2e {

// Memory of processes, in KiB (proc(5), smaps_rollup).
struct MemoryUse {
  double resident = 0;      // RSS: shared pages counted in full by each
  double proportional = 0;  // PSS: shared pages divided among those who share them
  double private_only = 0;  // what ending the process would give back
};
// kNotFound where it has ended.
Result<MemoryUse> ReadMemory(pid_t process);

// Whose memory to add up.
struct ProcessFilter {
  std::vector<std::string> pods;  // ids: in a process's command line or in its cgroup's path
  std::string but_not;            // in its command line: the workload's own
};
// Processes that have ended meanwhile count nothing.
MemoryUse SumMemory(const std::vector<pid_t>& processes, const ProcessFilter& filter);

}  // namespace catamaran::e2e

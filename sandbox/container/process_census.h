#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// How many descriptors may still be looked at. A container may hold millions of them.
struct DescriptorBudget {
  size_t left = 100'000;
};

// Counts processes and, for as long as the budget lasts, their open descriptors and which of them
// are sockets; where it ran out those two are absent. A process that ends meanwhile counts with
// what was seen of it. `proc`: where the proc file system is. Blocks, though on no disk: names of
// descriptors are read, never what they refer to.
spec::ProcessStats CountProcesses(const std::vector<pid_t>& processes, DescriptorBudget& budget,
                                  const std::string& proc = "/proc");

// The soft limit of open files of a process; absent where it has ended.
std::optional<uint64_t> SoftOpenFiles(pid_t process);

}  // namespace catamaran

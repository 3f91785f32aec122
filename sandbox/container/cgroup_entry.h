#pragma once

#include "sandbox/kernel/cgroup.h"

namespace catamaran {

// How a process gets into its container's group. Whatever namespaces it is born into, it is one of
// the two: a pod whose processes are elsewhere has no limits (CVE-2025-47291).
struct CgroupEntry {
  int clone_fd = -1;             // it is born there: CLONE_INTO_CGROUP, cgroup v2
  const Cgroup* join = nullptr;  // it goes there itself, before anything else
};

// `group` outlives what is returned.
CgroupEntry EntryInto(const CgroupTree& tree, const Cgroup& group);

}  // namespace catamaran

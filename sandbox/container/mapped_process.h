#pragma once

#include <functional>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/process.h"

namespace catamaran {

// How a process gets into a user namespace in which its parent is not.
struct UserNamespaceEntry {
  int namespace_fd = -1;  // -1: it stays in its parent's
  // What takes the parent's privileges; runs in the process on its way there.
  std::function<Status()> while_privileged;
};

// CloneProcess, but the child is born as the root of the user namespace and its new namespaces are
// owned by that: who entered it cannot clone for this process, and this process could never leave
// it again. So a child of ours enters it and clones the new process as its sibling (CLONE_PARENT),
// which makes it our child. Waits for that to have happened; nothing on the way touches a disk.
// `dies_with_parent` is not supported.
Result<ChildProcess> CloneProcess(const CloneOptions& options, const UserNamespaceEntry& entry,
                                  UniqueFunction<int()> body);

}  // namespace catamaran

#pragma once

#include <memory>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/base/result.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// The container engine behind the seam: one sandbox and its containers as namespaces and cgroups
// of the kernel this process runs on. The shim of the ns hull holds one on the host, the agent of
// a VM holds one in the guest; nothing in it knows which of the two it is.
//
// What it relies on:
// - a single-threaded process (it clones into C++ code), root in the initial user namespace;
// - that it may fork on the loop's thread: whatever can block on a disk runs in such a child;
// - procfs on /proc and device nodes in /dev, both trusted;
// - a root mount that pivot_root(2) can replace: an agent started from an initramfs calls
//   MakeRootPivotable (sandbox/kernel/mounts.h) once, early;
// - SandboxSpec.cgroup_path: the engine makes one group per container below it and never touches
//   the leaf in which its own process lives.
//
// Nothing it makes outlives its processes: namespaces are pinned by descriptors, mounts live only
// in the containers' own mount namespaces. If this process is killed, killing the pod's cgroup,
// RunLeftHooks (container/hooks.h) for what belongs after a container's end, and deleting
// state_directory and the writable folders removes everything.
//
// A container whose program could not be executed by StartContainer is EXITED with exit code 128
// and a message, and no exit event follows: the verb's error is the news.
//
// The loop must outlive the backend.
Result<std::unique_ptr<SandboxBackend>> MakeNamespaceBackend(EventLoop& loop);

}  // namespace catamaran

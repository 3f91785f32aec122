#pragma once

#include <memory>
#include <string>

#include "sandbox/container/capabilities.h"
#include "sandbox/container/hooks.h"
#include "sandbox/container/plan.h"
#include "sandbox/container/process_steps.h"
#include "sandbox/container/rootfs.h"
#include "sandbox/container/sandbox_namespaces.h"
#include "sandbox/container/seccomp.h"
#include "sandbox/container/stage_channel.h"
#include "sandbox/kernel/cgroup.h"

namespace catamaran {

// Names of the descriptors a child sends to its parent.
inline constexpr const char* kDevptsDescriptor = "devpts";
inline constexpr const char* kTerminalDescriptor = "terminal";

// The child side. Both functions run in a copy of the engine's memory, report on the channel and
// return the child's exit code only where they failed; the parent keeps what they point to alive
// until the clone.

struct InitInput {
  const ContainerPlan* plan = nullptr;
  const SandboxNamespaces* sandbox = nullptr;
  const Cgroup* cgroup = nullptr;  // to join; null where it was born there
  std::string scratch_folder;
  RootfsMethod rootfs_method = RootfsMethod::kBest;
  CapabilitySet capabilities;
  CapabilitySet ambient;
  std::shared_ptr<const SeccompProgram> seccomp;
  ProcessStdio stdio;
  const HookContainer* hooks = nullptr;  // null where there are none
  const StageChannel* channel = nullptr;
};
// A container's first process, born in its own mount (and pid) namespace: builds the container,
// says it is prepared, waits for Start and becomes the program. With a user namespace two processes
// do that: mapped_init.h.
int RunContainerInit(const InitInput& input);

struct ExecInput {
  const spec::ProcessSpec* process = nullptr;
  int container_pidfd = -1;  // of the container's first process
  int devpts_fd = -1;
  const spec::UserNamespace* user_namespace = nullptr;  // null: the machine's
  const Cgroup* cgroup = nullptr;                       // as above
  CapabilitySet capabilities;
  CapabilitySet ambient;
  std::shared_ptr<const SeccompProgram> seccomp;
  ProcessStdio stdio;
  const StageChannel* channel = nullptr;
};
// Another process of a running container, born in its pid namespace. Does not wait: Prepared is
// followed by the execve.
int RunExecInit(const ExecInput& input);

}  // namespace catamaran

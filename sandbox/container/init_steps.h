#pragma once

#include <vector>

#include "sandbox/container/init.h"

namespace catamaran {

// What the processes of init.h and mapped_init.h do alike.

Status Named(Status status, const char* doing);

// Before anything that belongs to a container can see this process: descriptors of the engine that
// stay open are ways out (CVE-2024-21626).
void DropEngineDescriptors(const StageChannel& channel, const ProcessStdio& stdio,
                           std::vector<int> needed);
void KeepOnlyStandardStreams(const StageChannel& channel, int also = -1);

Status JoinCgroup(const Cgroup* cgroup);
// Network, ipc and uts namespaces of the sandbox.
Status JoinNamespaces(const NamespacePlan& plan, const SandboxNamespaces& sandbox);

// Opens the process's terminal and sends its master to the parent.
Result<UniqueFd> MakeTerminal(int devpts_fd, const StageChannel& channel);

Status WaitForStart(const StageChannel& channel);
// Ends the process where the other end is gone.
Status WaitFor(const StageChannel& channel, StageMessage::Kind kind);

// The hooks that run while the root is not yet entered: those of the machine by way of `channel`
// (Built, Continue), createContainer's by this process. `pid` is what those are told.
Status RunCreationHooks(const InitInput& input, const StageChannel& channel, int root_fd,
                        pid_t pid);
// startContainer's.
Status RunStartHooks(const InitInput& input);

// The child's exit code. The parent takes the end of the stream before Prepared for a failure too.
int ReportFailure(const StageChannel& channel, const Error& error);

}  // namespace catamaran

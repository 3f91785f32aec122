#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/container/capabilities.h"
#include "sandbox/container/seccomp.h"
#include "sandbox/container/user.h"
#include "sandbox/kernel/proc_handle.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// What a container's first process and one that is exec'd later do alike, in the child.

struct ProcessStdio {
  int in = -1;  // -1: /dev/null
  int out = -1;
  int err = -1;
};

// First of all: own session and keyring, default signals, umask 022.
void BeginSession();
// proc_pid_oom_score_adj(5), but never lower than this process may set. While /proc is the
// machine's, and its user namespace.
Status SetOomScore(const spec::ProcessSpec& process);
// In a user namespace of its own no process may raise its hard limits: before it goes there, as
// far as this one may. What is then too high is lowered by BecomeProgram.
void RaiseHardLimits(const spec::ProcessSpec& process);

// Pipes and terminals among the streams belong to this user from now on.
Status GiveStreamsTo(const ProcessStdio& stdio, uid_t uid, gid_t gid);

// Puts the descriptors on 0, 1 and 2, owned by the process's user where they are pipes or
// terminals.
Status InstallStdio(const ProcessStdio& stdio, int null_fd, uid_t uid);
// The same with a terminal, which becomes the controlling one.
Status InstallTerminal(int slave_fd, uid_t uid);

// process.cwd below the root, made if missing.
Result<UniqueFd> OpenWorkingDirectory(int root_fd, const std::string& cwd);
// Goes there once the root was entered, and checks that it is inside (CVE-2024-21626).
Status EnterWorkingDirectory(int folder_fd);

struct Credentials {
  ProcessUser user;
  CapabilitySet capabilities;
  CapabilitySet ambient;
  std::shared_ptr<const SeccompProgram> seccomp;  // null: unconfined
  // To write the labels with; where the process may not mount one itself.
  std::optional<ProcHandle> proc;
};
// Whether BecomeProgram writes labels: AppArmor's or SELinux's.
bool HasLabels(const spec::ProcessSpec& process);
// Limits, labels, groups, ids, capabilities, filter, `last_step`, and execve. Returns only the
// error.
Error BecomeProgram(const spec::ProcessSpec& process, const Credentials& credentials,
                    const std::function<Status()>& last_step);

}  // namespace catamaran

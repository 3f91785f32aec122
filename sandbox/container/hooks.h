#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// Programs that run at points of a container's life, as the OCI runtime specification has them
// (config.md, "POSIX-platform Hooks"; runtime.md, "Lifecycle"):
//
// - prestart, createRuntime: the container is built, its root not yet entered; on the machine.
// - createContainer: the same moment, in the container's namespaces; a program of the machine.
// - startContainer: as the container's user, confined as its process; its own program.
// - poststart: the process runs; on the machine.
// - poststop: nothing of the container is left; on the machine.
//
// One that fails, or takes too long, fails the verb and ends the container; after poststop it is
// only told (pod::Warning).
enum class HookPoint {
  kPrestart,
  kCreateRuntime,
  kCreateContainer,
  kStartContainer,
  kPoststart,
  kPoststop,
};

// What hooks are told of their container.
struct HookContainer {
  spec::Hooks hooks;
  std::string id;
  std::map<std::string, std::string> annotations;
  // Folder with the configuration that hooks look their container's root up in (config.json).
  std::string bundle;

  bool HasAny() const;
  // Whether the child has to wait while prestart and createRuntime run.
  bool HasBeforeRoot() const { return hooks.prestart_size() + hooks.create_runtime_size() > 0; }
};

// The checks that need no kernel; kInvalidArgument names the field.
Status ValidateHooks(const spec::Hooks& hooks);

// Runs the hooks of one point in their order, up to the first that fails. `pid` is the container's
// process as the hooks' pid namespace numbers it; 0: there is none. Blocks for as long as they
// take: for children only. What a failed hook wrote, its beginning, is part of the error.
Status RunHooks(const HookContainer& container, HookPoint point, pid_t pid);
// The same, but all of them whatever becomes of each: the errors, one a line.
std::string RunAllHooks(const HookContainer& container, HookPoint point, pid_t pid);

// Runs the poststop hooks of every container with a bundle below this folder, and removes the
// bundle: of containers whose engine ended before it removed them, once nothing of them runs any
// more. Callers wait for each other. Those of a container that runs when the deadline comes are
// killed, and its bundle is left to the next call. What failed, one a line; nothing where there is
// no such folder.
std::string RunLeftHooks(const std::string& bundles, Deadline deadline);

// Writes bundle/config.json: where the root is in the calling process's mount namespace, and what
// the process will be; and beside it, where there are poststop hooks, what RunLeftHooks needs.
Status WriteBundle(const HookContainer& container, const spec::ProcessSpec& process, int root_fd);

}  // namespace catamaran

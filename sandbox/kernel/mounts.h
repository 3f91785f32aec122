#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// The mount API of Linux 5.2 and later (fsopen(2), open_tree(2), move_mount(2),
// mount_setattr(2)): mounts are made detached, held by a descriptor and attached to a descriptor,
// so that no path is resolved twice and nothing shows in a mount table before it is attached. A
// detached mount goes away with its last descriptor. These may block on a disk.

// One parameter of a file system: a flag (neither value nor fd), a string or a descriptor.
struct MountParameter {
  std::string key;
  std::optional<std::string> value;
  int fd = -1;
};

// A new instance of a file system, detached. `attributes` are MOUNT_ATTR_*. An error carries what
// the file system itself said.
Result<UniqueFd> MakeFilesystem(const std::string& type,
                                const std::vector<MountParameter>& parameters, uint64_t attributes);

enum class Recursion { kOne, kRecursive };

// A detached copy of the mount at a path (AT_FDCWD or a folder's descriptor), or of the object
// that `fd` stands for where path is "". The original must be attached in the caller's own mount
// namespace.
Result<UniqueFd> CloneMount(int fd, const std::string& path, Recursion recursion);

// Sets MOUNT_ATTR_* of the mount, and of those below it.
Status SetMountAttributes(int mount_fd, uint64_t attributes, Recursion recursion);
// Ids in the mount, which must be detached, become what they are in the user namespace: id 0 of the
// file system shows as what root there is (mount_setattr(2), ID mappings). An error where the file
// system does not support it.
Status IdMapMount(int mount_fd, int user_namespace_fd, Recursion recursion);
// `propagation` is MS_PRIVATE, MS_SLAVE or MS_SHARED.
Status SetMountPropagation(int mount_fd, uint64_t propagation, Recursion recursion);

// Attaches a detached mount on top of what target_fd (O_PATH) stands for. mount_fd stays usable.
Status AttachMount(int mount_fd, int target_fd);

// Makes every mount of this mount namespace a slave of what it was a copy of: what is mounted here
// from now on does not show elsewhere.
Status LeavePeerGroups();

// Entering a mount namespace moves root and working directory to its root: back to root_fd, which
// was "/" before.
Status ReturnToRoot(int root_fd);

// Makes root_fd, a mount attached in the caller's own mount namespace, the root of it and lets go
// of everything that was visible before. After LeavePeerGroups. The working directory is the new
// root afterwards.
Status PivotRoot(int root_fd);

// For a process whose root is the kernel's initramfs, which pivot_root(2) refuses to replace:
// puts a copy of that mount on top of it and moves there. Called once, before other mounts are
// made.
Status MakeRootPivotable();

// How the mount that holds `path` takes part in propagation in this mount namespace.
struct PropagationOf {
  bool shared = false;
  bool slave = false;
};
Result<PropagationOf> ReadPropagation(int path_fd);

}  // namespace catamaran

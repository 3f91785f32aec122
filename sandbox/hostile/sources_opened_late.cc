// Each mount's source is opened when its turn comes, among the mounts that were made before.
// Linked in the place of mount_sources.cc, into a test.
#include <fcntl.h>
#include <sys/mount.h>

#include "sandbox/base/files.h"
#include "sandbox/container/mount_steps.h"
#include "sandbox/kernel/mounts.h"

namespace catamaran {

Status MountSteps::OpenSource(const PlannedMount& mount, UniqueFd& source) {
  if (mount.kind != MountKind::kBind) return {};
  ASSIGN_OR_RETURN(source, CloneMount(AT_FDCWD, mount.source, Recursion::kRecursive));
  return SetMountPropagation(source.get(), MS_PRIVATE, Recursion::kRecursive);
}

Status MountSteps::OpenSources() {
  ASSIGN_OR_RETURN(null_, OpenFile("/dev/null", O_RDWR));
  return {};
}

UniqueFd MountSteps::TakeSource(size_t number) {
  UniqueFd source;
  OpenSource(plan_.mounts[number], source).map_error([](const Error&) {});
  return source;
}

}  // namespace catamaran

// Masks are made of the container's own /dev/null, which is looked at once before it is used for
// all of them. Linked in the place of path_masks.cc, into a test.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sandbox/container/mount_steps.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {

Status MountSteps::MakePathsReadonly() { return {}; }

Status MountSteps::MaskPaths() {
  if (plan_.masked_paths.empty()) return {};
  ASSIGN_OR_RETURN(auto looked_at, OpenInRoot(root_.get(), "dev/null", O_PATH));
  struct stat status;
  if (fstat(looked_at.get(), &status) != 0 || status.st_rdev != makedev(1, 3))
    return Fail(ErrorCode::kFailedPrecondition, "/dev/null is not the null device");
  for (const auto& path : plan_.masked_paths) {
    ASSIGN_OR_RETURN(auto target, OpenInRoot(root_.get(), path, O_PATH));
    ASSIGN_OR_RETURN(auto null_device, OpenInRoot(root_.get(), "dev/null", O_PATH));
    ASSIGN_OR_RETURN(auto mask, CloneMount(null_device.get(), "", Recursion::kOne));
    RETURN_IF_ERROR(AttachMount(mask.get(), target.get()));
  }
  return {};
}

}  // namespace catamaran

#include "sandbox/kernel/bare_root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/base/files.h"
#include "sandbox/kernel/mounts.h"

namespace catamaran {
namespace {

// What a mount at `path` (no leading slash) below a folder of ours is attached to.
Result<UniqueFd> MakeTarget(int root, const std::filesystem::path& path, bool folder) {
  ASSIGN_OR_RETURN(UniqueFd at, OpenFileAt(root, ".", O_PATH | O_DIRECTORY));
  for (const auto& part : path.parent_path()) {
    if (mkdirat(at.get(), part.c_str(), 0755) != 0 && errno != EEXIST)
      return FailWithErrno("mkdir {} of {}", part.string(), path.string());
    ASSIGN_OR_RETURN(at, OpenFileAt(at.get(), part, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  }
  const std::string name = path.filename();
  if (folder) {
    if (mkdirat(at.get(), name.c_str(), 0755) != 0 && errno != EEXIST)
      return FailWithErrno("mkdir {}", path.string());
  } else {
    RETURN_IF_ERROR(OpenFileAt(at.get(), name, O_WRONLY | O_CREAT | O_NOFOLLOW, 0444));
  }
  return OpenFileAt(at.get(), name, O_PATH | O_NOFOLLOW);
}

}  // namespace

Result<BareRoot> BareRoot::Make() {
  RETURN_IF_ERROR(LeavePeerGroups());
  ASSIGN_OR_RETURN(UniqueFd root, MakeFilesystem("tmpfs", {{"mode", "755"}, {"size", "1m"}},
                                                 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  // On top of "/" it hides nothing yet: paths begin below it.
  ASSIGN_OR_RETURN(const UniqueFd place, OpenFile("/", O_PATH | O_DIRECTORY));
  RETURN_IF_ERROR(AttachMount(root.get(), place.get()));
  return BareRoot(std::move(root));
}

Status BareRoot::Show(const std::string& host_path, const std::string& name, uint64_t attributes) {
  ASSIGN_OR_RETURN(const UniqueFd mount, CloneMount(AT_FDCWD, host_path, Recursion::kOne));
  RETURN_IF_ERROR(SetMountPropagation(mount.get(), MS_PRIVATE, Recursion::kOne));
  RETURN_IF_ERROR(SetMountAttributes(mount.get(), attributes, Recursion::kOne));
  struct stat status;
  if (fstat(mount.get(), &status) != 0) return FailWithErrno("stat {}", host_path);
  ASSIGN_OR_RETURN(const UniqueFd target,
                   MakeTarget(root_.get(), name.substr(1), S_ISDIR(status.st_mode)));
  return AttachMount(mount.get(), target.get());
}

Status BareRoot::Enter() {
  RETURN_IF_ERROR(SetMountAttributes(root_.get(), MOUNT_ATTR_RDONLY, Recursion::kOne));
  return PivotRoot(root_.get());
}

}  // namespace catamaran

// Paths that a container does not see, or sees read-only. What covers them comes from the machine
// (CVE-2025-31133).
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "sandbox/container/mount_steps.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

Result<bool> IsDirectory(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return FailWithErrno("fstat");
  return S_ISDIR(status.st_mode);
}

Status Named(Status status, const std::string& doing) {
  if (!status) return tl::unexpected(std::move(status).error().While(doing));
  return status;
}

}  // namespace

Status MountSteps::MakePathsReadonly() {
  for (const auto& path : plan_.readonly_paths) {
    auto target = OpenInRoot(root_.get(), path, O_PATH);
    if (!target && target.error().system_errno == ENOENT) continue;
    if (!target) return tl::unexpected(std::move(target).error().While("read-only " + path));
    ASSIGN_OR_RETURN(auto copy, CloneMount(target->get(), "", Recursion::kRecursive));
    RETURN_IF_ERROR(SetMountAttributes(copy.get(), MOUNT_ATTR_RDONLY, Recursion::kRecursive));
    RETURN_IF_ERROR(Named(AttachMount(copy.get(), target->get()), "read-only " + path));
  }
  return {};
}

Status MountSteps::MaskFolder(int target_fd) {
  if (!empty_folder_.valid()) {
    ASSIGN_OR_RETURN(empty_folder_,
                     MakeFilesystem("tmpfs", {{"nr_blocks", "1"}, {"nr_inodes", "2"}},
                                    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                        MOUNT_ATTR_NOEXEC));
    return AttachMount(empty_folder_.get(), target_fd);
  }
  ASSIGN_OR_RETURN(auto mask, CloneMount(empty_folder_.get(), "", Recursion::kOne));
  return AttachMount(mask.get(), target_fd);
}

Status MountSteps::Mask(int target_fd) {
  ASSIGN_OR_RETURN(const bool directory, IsDirectory(target_fd));
  if (directory) return MaskFolder(target_fd);
  ASSIGN_OR_RETURN(auto mask, CloneMount(null_.get(), "", Recursion::kOne));
  return AttachMount(mask.get(), target_fd);
}

Status MountSteps::MaskPaths() {
  for (const auto& path : plan_.masked_paths) {
    auto target = OpenInRoot(root_.get(), path, O_PATH);
    const int error_number = target ? 0 : target.error().system_errno;
    if (error_number == ENOENT || error_number == ENOTDIR) continue;
    if (!target) return tl::unexpected(std::move(target).error().While("mask " + path));
    RETURN_IF_ERROR(Named(Mask(target->get()), "mask " + path));
  }
  return {};
}

}  // namespace catamaran

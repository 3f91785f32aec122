#include "vm-backend/volumes/guest_volume_folders.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/safe_path.h"
#include "vm-backend/volumes/projected_mirror.h"

namespace catamaran {
namespace {

// Of all mirrors of a pod together; what one may hold is MirrorLimits.
constexpr char kMirrorBytes[] = "64m";

// Held by one child at a time: two containers may be created at once.
Result<UniqueFd> LockFolder(const GuestPath& folder) {
  RETURN_IF_ERROR(MakeDirectories(folder.value()));
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(folder.value(), O_RDONLY | O_DIRECTORY));
  if (flock(fd.get(), LOCK_EX) != 0) return FailWithErrno("lock {}", folder.string());
  return fd;
}

// Not while it is refreshed; who waits to refresh it finds a folder that is gone.
Status RemoveMirror(const GuestPath& mirror) {
  if (!Exists(mirror.value())) return {};
  ASSIGN_OR_RETURN(const UniqueFd lock, LockFolder(mirror));
  return RemoveTree(mirror.value());
}

bool IsMountPoint(const GuestPath& folder) {
  struct statx status {};
  return statx(AT_FDCWD, folder.c_str(), AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &status) == 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

Status MountTmpfs(const GuestPath& folder, std::vector<MountParameter> parameters) {
  RETURN_IF_ERROR(MakeDirectories(folder.value()));
  ASSIGN_OR_RETURN(const UniqueFd mount,
                   MakeFilesystem("tmpfs", parameters, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  ASSIGN_OR_RETURN(const UniqueFd target, OpenFile(folder.value(), O_PATH | O_DIRECTORY));
  RETURN_IF_ERROR(AttachMount(mount.get(), target.get()));
  AbortStep();
  return {};
}

Status MountMemory(const GuestPath& folder, const spec::GuestVolume& volume) {
  std::vector<MountParameter> parameters = {{"mode", fmt::format("{:o}", volume.mode())},
                                            {"uid", std::to_string(volume.uid())},
                                            {"gid", std::to_string(volume.gid())}};
  if (volume.size_bytes() > 0) parameters.push_back({"size", std::to_string(volume.size_bytes())});
  return MountTmpfs(folder, std::move(parameters));
}

// What containers put into the volume may have led elsewhere: resolved below its root only.
Result<UniqueFd> OpenPart(int root, const spec::GuestVolume& volume) {
  auto part = OpenInRoot(root, volume.sub_path(), O_PATH);
  if (part || part.error().code != ErrorCode::kNotFound) return part;
  ASSIGN_OR_RETURN(UniqueFd made,
                   OpenOrCreateInRoot(root, volume.sub_path(), TargetKind::kDirectory));
  const std::string entry = fmt::format("/proc/self/fd/{}", made.get());
  if (chown(entry.c_str(), volume.uid(), volume.gid()) != 0 ||
      chmod(entry.c_str(), volume.mode()) != 0)
    return FailWithErrno("give {} its owner and mode", volume.sub_path());
  return made;
}

// A mount of its own, so that who mounts it later resolves nothing that a container can change.
Status BindPart(int part, const GuestPath& place) {
  struct stat status;
  if (fstat(part, &status) != 0) return FailWithErrno("fstat of a sub-path");
  RETURN_IF_ERROR(MakeDirectories(place.value().parent_path()));
  if (S_ISDIR(status.st_mode)) {
    RETURN_IF_ERROR(MakeDirectories(place.value()));
  } else {
    RETURN_IF_ERROR(OpenFile(place.value(), O_WRONLY | O_CREAT, 0600));
  }
  ASSIGN_OR_RETURN(const UniqueFd mount, CloneMount(part, "", Recursion::kOne));
  ASSIGN_OR_RETURN(const UniqueFd target, OpenFile(place.value(), O_PATH));
  RETURN_IF_ERROR(AttachMount(mount.get(), target.get()));
  AbortStep();
  return {};
}

}  // namespace

GuestPath GuestVolumeFolders::PathOf(const std::string& container, int index,
                                     const spec::Mount& mount) const {
  switch (mount.guest().kind()) {
    case spec::GuestVolume::MIRRORED:
      return mirrors() / mount.volume_path();
    case spec::GuestVolume::MEMORY:
      if (mount.guest().sub_path().empty()) return base_ / "memory" / mount.volume_path();
      return base_ / "parts" / container / std::to_string(index);
    default:
      return served() / mount.volume_path();
  }
}

Status GuestVolumeFolders::MakeMirrorFolder() const {
  return MountTmpfs(mirrors(), {{"mode", "0700"}, {"size", kMirrorBytes}});
}

Status GuestVolumeFolders::Prepare(const std::string& container, int index,
                                   const spec::Mount& mount) const {
  if (mount.guest().kind() == spec::GuestVolume::MEMORY)
    return PrepareMemory(container, index, mount);
  if (mount.guest().kind() != spec::GuestVolume::MIRRORED) return {};
  const GuestPath mirror = PathOf(container, index, mount);
  RETURN_IF_ERROR(MakeDirectories(mirror.value()));
  return MirrorProjected(served() / mount.volume_path(), mirror);
}

Status GuestVolumeFolders::PrepareMemory(const std::string& container, int index,
                                         const spec::Mount& mount) const {
  const GuestPath folder = base_ / "memory" / mount.volume_path();
  {
    ASSIGN_OR_RETURN(const UniqueFd lock, LockFolder(base_ / "memory"));
    if (!IsMountPoint(folder)) RETURN_IF_ERROR(MountMemory(folder, mount.guest()));
  }
  if (mount.guest().sub_path().empty()) return {};
  ASSIGN_OR_RETURN(const UniqueFd root, OpenFile(folder.value(), O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(const UniqueFd part, OpenPart(root.get(), mount.guest()));
  return BindPart(part.get(), PathOf(container, index, mount));
}

Status GuestVolumeFolders::Release(const spec::ContainerSpec& container) const {
  Status result;
  for (int index = 0; index < container.mounts_size(); ++index) {
    const spec::Mount& mount = container.mounts(index);
    const GuestPath path = PathOf(container.container_id(), index, mount);
    Status released;
    if (mount.guest().kind() == spec::GuestVolume::MIRRORED) {
      released = RemoveMirror(path);
    } else if (mount.guest().kind() == spec::GuestVolume::MEMORY &&
               !mount.guest().sub_path().empty() && umount2(path.c_str(), MNT_DETACH) != 0 &&
               errno != EINVAL && errno != ENOENT) {
      released = FailWithErrno("unmount {}", path.string());
    }
    if (!released) result = std::move(released);
  }
  if (!result) return result;
  return RemoveTree((base_ / "parts" / container.container_id()).value());
}

Status GuestVolumeFolders::RefreshMirrors() const {
  ASSIGN_OR_RETURN(const auto names, ListDirectory(mirrors().value()));
  Status result;
  for (const std::string& name : names) {
    auto refreshed = MirrorProjected(served() / name, mirrors() / name);
    // Its container may be gone meanwhile.
    if (!refreshed && Exists((mirrors() / name).value()))
      result = tl::unexpected<Error>(std::move(refreshed).error().While("volume " + name));
  }
  return result;
}

}  // namespace catamaran

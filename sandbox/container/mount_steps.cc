#include "sandbox/container/mount_steps.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/container/mount_guard.h"
#include "sandbox/container/relabel.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/process.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

Result<bool> IsDirectory(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return FailWithErrno("fstat");
  return S_ISDIR(status.st_mode);
}

// Its root and ptmx are the machine's root's, whoever mounts it.
Status GiveDevptsTo(int devpts_fd, uid_t uid, gid_t gid) {
  if (uid == 0 && gid == 0) return {};
  if (fchownat(devpts_fd, "", uid, gid, AT_EMPTY_PATH) != 0 ||
      fchownat(devpts_fd, "ptmx", uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
    return FailWithErrno("give /dev/pts to the container's root");
  return {};
}

Status Named(Status status, const std::string& doing) {
  if (!status) return tl::unexpected(std::move(status).error().While(doing));
  return status;
}

}  // namespace

std::string DescribeMount(const PlannedMount& mount) {
  return mount.field.empty() ? "mount " + mount.target
                             : fmt::format("{} (mount {})", mount.field, mount.target);
}

Result<int> MountSteps::NamespaceFor(const std::optional<IdMaps>& maps) {
  if (!maps) return -1;
  if (maps == plan_.id_maps) return user_namespace_fd_;
  for (const auto& [known, made] : made_namespaces_)
    if (known == *maps) return made.get();
  ASSIGN_OR_RETURN(auto made, MakeUserNamespace(*maps));
  made_namespaces_.emplace_back(*maps, std::move(made));
  return made_namespaces_.back().second.get();
}

Status MountSteps::MapIds(const PlannedMount& mount, int mount_fd) {
  if (!mount.id_maps) return {};
  ASSIGN_OR_RETURN(const int users, NamespaceFor(mount.id_maps));
  if (mount.recursive && IdMapMount(mount_fd, users, Recursion::kRecursive)) return {};
  // Something below it that cannot be mapped belongs to nobody then, as seen from the container.
  if (auto mapped = IdMapMount(mount_fd, users, Recursion::kOne); !mapped)
    return tl::unexpected(
        std::move(mapped).error().While(fmt::format("uid_mappings: id-map \"{}\"", mount.source)));
  return {};
}

Status MountSteps::OpenSharedMemory(int namespace_fd) {
  if (namespace_fd < 0) return {};
  ASSIGN_OR_RETURN(auto root, OpenFile("/", O_PATH | O_DIRECTORY));
  {
    ASSIGN_OR_RETURN(auto scope, ScopedNamespace::Enter(namespace_fd, CLONE_NEWNS));
    ASSIGN_OR_RETURN(shared_memory_, CloneMount(AT_FDCWD, "/", Recursion::kOne));
  }
  return ReturnToRoot(root.get());
}

Status MountSteps::MountRoot(RootfsBuilder& builder) {
  ASSIGN_OR_RETURN(root_, builder.MountContainerRoot(plan_.rootfs, user_namespace_fd_));
  return {};
}

Result<UniqueFd> MountSteps::OpenTarget(const PlannedMount& mount, int source_fd) {
  // Directly below the root ours must be real folders, or what we do below them lands elsewhere.
  if (mount.target == "/proc" || mount.target == "/sys" || mount.target == "/dev")
    return OpenOrCreateRealDirectory(root_.get(), mount.target.substr(1));
  ASSIGN_OR_RETURN(const bool directory, IsDirectory(source_fd));
  return OpenOrCreateInRoot(root_.get(), mount.target,
                            directory ? TargetKind::kDirectory : TargetKind::kFile);
}

Result<UniqueFd> MountSteps::MakeMount(const PlannedMount& mount, UniqueFd source,
                                       RootfsBuilder& builder) {
  if (mount.kind == MountKind::kFilesystem) {
    std::vector<MountParameter> parameters = {{"source", mount.type}};
    for (const auto& [key, value] : mount.parameters)
      parameters.push_back({key, value.empty() ? std::nullopt : std::optional(value)});
    return MakeFilesystem(mount.type, parameters, mount.attributes);
  }
  if (mount.kind == MountKind::kSharedMemory) source = std::move(shared_memory_);
  if (mount.kind == MountKind::kImage) {
    ASSIGN_OR_RETURN(const int users, NamespaceFor(mount.id_maps));
    ASSIGN_OR_RETURN(source, builder.MountImage(mount.image, users));
  }
  RETURN_IF_ERROR(
      SetMountAttributes(source.get(), mount.attributes,
                         mount.recursive_attributes ? Recursion::kRecursive : Recursion::kOne));
  return source;
}

Status MountSteps::MountOne(const PlannedMount& mount, UniqueFd source, RootfsBuilder& builder) {
  ASSIGN_OR_RETURN(auto made, MakeMount(mount, std::move(source), builder));
  ASSIGN_OR_RETURN(auto target, OpenTarget(mount, made.get()));
  RETURN_IF_ERROR(CheckMountPoint(mount, target.get(), proc_.get()));
  RETURN_IF_ERROR(AttachMount(made.get(), target.get()));
  if (mount.kind == MountKind::kFilesystem && !mount.label.empty())
    RETURN_IF_ERROR(RelabelRoot(made.get(), mount.label));
  if (mount.type == "proc") proc_ = std::move(made);
  if (mount.type != "devpts") return {};
  RETURN_IF_ERROR(GiveDevptsTo(made.get(), plan_.root_uid, plan_.root_gid));
  devpts_ = std::move(made);
  return {};
}

Status MountSteps::MountAll(RootfsBuilder& builder) {
  for (size_t i = 0; i < plan_.mounts.size(); ++i) {
    const PlannedMount& mount = plan_.mounts[i];
    auto mounted = Named(MountOne(mount, TakeSource(i), builder), DescribeMount(mount));
    if (!mounted && mount.kind == MountKind::kImage)
      return tl::unexpected(std::move(mounted).error().About(ErrorSubject::kImageVolume));
    RETURN_IF_ERROR(std::move(mounted));
  }
  return {};
}

Status MountSteps::EnterRoot() {
  RETURN_IF_ERROR(PivotRoot(root_.get()));
  if (!plan_.rootfs.readonly()) return {};
  return SetMountAttributes(root_.get(), MOUNT_ATTR_RDONLY, Recursion::kOne);
}

}  // namespace catamaran

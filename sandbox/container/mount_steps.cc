#include "sandbox/container/mount_steps.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/process.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

// The machine's /dev/null, verified: a link in its place is how CVE-2025-31133 works.
Result<UniqueFd> OpenNullDevice() {
  ASSIGN_OR_RETURN(auto device, OpenFile("/dev/null", O_RDWR | O_NOFOLLOW));
  struct stat status;
  if (fstat(device.get(), &status) != 0) return FailWithErrno("stat /dev/null");
  if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3))
    return Fail(ErrorCode::kFailedPrecondition, "/dev/null is not the null device");
  return device;
}

Result<bool> IsDirectory(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return FailWithErrno("fstat");
  return S_ISDIR(status.st_mode);
}

Status CheckPropagation(const PlannedMount& mount) {
  if (mount.propagation == spec::PRIVATE) return {};
  ASSIGN_OR_RETURN(auto source, OpenFile(mount.source, O_PATH));
  ASSIGN_OR_RETURN(const PropagationOf propagation, ReadPropagation(source.get()));
  if (mount.propagation == spec::BIDIRECTIONAL && !propagation.shared)
    return Fail(ErrorCode::kFailedPrecondition,
                "propagation BIDIRECTIONAL needs \"{}\" to be on a shared mount", mount.source);
  if (!propagation.shared && !propagation.slave)
    return Fail(ErrorCode::kFailedPrecondition,
                "propagation HOST_TO_CONTAINER needs \"{}\" to be on a shared or slave mount",
                mount.source);
  return {};
}

Status SetPropagationOf(const PlannedMount& mount, int mount_fd) {
  if (mount.propagation == spec::BIDIRECTIONAL) return {};  // stays in the host's peer group
  return SetMountPropagation(mount_fd,
                             mount.propagation == spec::HOST_TO_CONTAINER ? MS_SLAVE : MS_PRIVATE,
                             Recursion::kRecursive);
}

// Its root and ptmx are the machine's root's, whoever mounts it.
Status GiveDevptsTo(int devpts_fd, uid_t uid, gid_t gid) {
  if (uid == 0 && gid == 0) return {};
  if (fchownat(devpts_fd, "", uid, gid, AT_EMPTY_PATH) != 0 ||
      fchownat(devpts_fd, "ptmx", uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
    return FailWithErrno("give /dev/pts to the container's root");
  return {};
}

std::string Describe(const PlannedMount& mount) {
  return mount.field.empty() ? "mount " + mount.target
                             : fmt::format("{} (mount {})", mount.field, mount.target);
}

Status Named(Status status, const std::string& doing) {
  if (!status) return tl::unexpected(std::move(status).error().While(doing));
  return status;
}

}  // namespace

Status MountSteps::OpenSource(const PlannedMount& mount, UniqueFd& source) {
  if (mount.kind != MountKind::kBind) return {};
  // A folder that is missing is made, as containerd and docker do.
  if (!mount.field.empty() && access(mount.source.c_str(), F_OK) != 0 && errno == ENOENT)
    RETURN_IF_ERROR(MakeDirectories(mount.source, 0755));
  RETURN_IF_ERROR(CheckPropagation(mount));
  ASSIGN_OR_RETURN(source, CloneMount(AT_FDCWD, mount.source,
                                      mount.recursive ? Recursion::kRecursive : Recursion::kOne));
  RETURN_IF_ERROR(MapIds(mount, source.get()));
  return SetPropagationOf(mount, source.get());
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

Status MountSteps::OpenSources() {
  ASSIGN_OR_RETURN(null_, OpenNullDevice());
  for (const auto& mount : plan_.mounts)
    RETURN_IF_ERROR(Named(OpenSource(mount, sources_.emplace_back()), Describe(mount)));
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
  RETURN_IF_ERROR(AttachMount(made.get(), target.get()));
  if (mount.type != "devpts") return {};
  RETURN_IF_ERROR(GiveDevptsTo(made.get(), plan_.root_uid, plan_.root_gid));
  devpts_ = std::move(made);
  return {};
}

Status MountSteps::MountAll(RootfsBuilder& builder) {
  for (size_t i = 0; i < plan_.mounts.size(); ++i) {
    const PlannedMount& mount = plan_.mounts[i];
    RETURN_IF_ERROR(Named(MountOne(mount, std::move(sources_[i]), builder), Describe(mount)));
  }
  return {};
}

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

Status MountSteps::EnterRoot() {
  RETURN_IF_ERROR(PivotRoot(root_.get()));
  if (!plan_.rootfs.readonly()) return {};
  return SetMountAttributes(root_.get(), MOUNT_ATTR_RDONLY, Recursion::kOne);
}

}  // namespace catamaran

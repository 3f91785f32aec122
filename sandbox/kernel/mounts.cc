#include "sandbox/kernel/mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr int kMountInfoLimit = 64 << 20;

// What the file system wrote into its context's log ("e overlay: ..."), oldest first.
std::string ReadContextLog(int context) {
  std::string log;
  char line[512];
  while (true) {
    const ssize_t length = read(context, line, sizeof line);
    if (length <= 0) return log;
    std::string_view text(line, length);
    if (text.size() > 2 && text[1] == ' ') text.remove_prefix(2);
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    log += log.empty() ? " (" : "; ";
    log += text;
  }
}

tl::unexpected<Error> FailInContext(int error_number, int context, const std::string& doing) {
  std::string log = ReadContextLog(context);
  if (!log.empty()) log += ")";
  return FailErrno(error_number, doing + log);
}

Status SetParameter(int context, const MountParameter& parameter) {
  long result;
  if (parameter.fd >= 0) {
    result = fsconfig(context, FSCONFIG_SET_FD, parameter.key.c_str(), nullptr, parameter.fd);
  } else if (parameter.value) {
    result =
        fsconfig(context, FSCONFIG_SET_STRING, parameter.key.c_str(), parameter.value->c_str(), 0);
  } else {
    result = fsconfig(context, FSCONFIG_SET_FLAG, parameter.key.c_str(), nullptr, 0);
  }
  if (result == 0) return {};
  const int error_number = errno;
  return FailInContext(error_number, context, "option " + parameter.key);
}

Result<UniqueFd> MakeInContext(const std::string& type,
                               const std::vector<MountParameter>& parameters, uint64_t attributes) {
  UniqueFd context(fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!context.valid()) return FailWithErrno("fsopen");
  for (const auto& parameter : parameters) RETURN_IF_ERROR(SetParameter(context.get(), parameter));
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    const int error_number = errno;
    return FailInContext(error_number, context.get(), "create");
  }
  UniqueFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<int>(attributes)));
  if (!mount.valid()) {
    const int error_number = errno;
    return FailInContext(error_number, context.get(), "fsmount");
  }
  return mount;
}

Status ChangeMount(int mount_fd, mount_attr attributes, Recursion recursion) {
  const unsigned flags = AT_EMPTY_PATH | (recursion == Recursion::kRecursive ? AT_RECURSIVE : 0);
  if (mount_setattr(mount_fd, "", flags, &attributes, sizeof attributes) != 0)
    return FailWithErrno("mount_setattr");
  return {};
}

// The line of /proc/self/mountinfo that begins with this mount id (proc_pid_mountinfo(5)).
Result<std::string> MountInfoLine(uint64_t mount_id) {
  ASSIGN_OR_RETURN(const std::string table, ReadFile("/proc/self/mountinfo", kMountInfoLimit));
  std::string_view rest(table);
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    uint64_t id = 0;
    std::from_chars(line.data(), line.data() + line.size(), id);
    if (id == mount_id) return std::string(line);
    rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
  }
  return Fail(ErrorCode::kNotFound, "mount {} is not in this mount namespace", mount_id);
}

// pivot_root(".", ".") stacks the old root on the new one, both being the working directory.
Status SwapRoots(int root_fd) {
  if (fchdir(root_fd) != 0) return FailWithErrno("fchdir to the new root");
  if (syscall(SYS_pivot_root, ".", ".") == 0) return {};
  if (errno != EINVAL) return FailWithErrno("pivot_root");
  // In a chroot the root need not be a mount: go to the namespace's own root, which is one.
  ASSIGN_OR_RETURN(auto own, OpenFile("/proc/thread-self/ns/mnt", O_RDONLY));
  if (setns(own.get(), CLONE_NEWNS) != 0) return FailWithErrno("enter the namespace's root");
  if (fchdir(root_fd) != 0) return FailWithErrno("fchdir to the new root");
  if (syscall(SYS_pivot_root, ".", ".") != 0) return FailWithErrno("pivot_root");
  return {};
}

}  // namespace

Result<UniqueFd> MakeFilesystem(const std::string& type,
                                const std::vector<MountParameter>& parameters,
                                uint64_t attributes) {
  auto mount = MakeInContext(type, parameters, attributes);
  if (!mount) return tl::unexpected(std::move(mount).error().While("mount " + type));
  return mount;
}

Result<UniqueFd> CloneMount(int fd, const std::string& path, Recursion recursion) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
                         (recursion == Recursion::kRecursive ? AT_RECURSIVE : 0) |
                         (path.empty() ? AT_EMPTY_PATH : 0);
  UniqueFd mount(open_tree(fd, path.c_str(), flags));
  if (!mount.valid()) return FailWithErrno("open_tree {}", path);
  return mount;
}

Status SetMountAttributes(int mount_fd, uint64_t attributes, Recursion recursion) {
  if (attributes == 0) return {};
  mount_attr change{};
  change.attr_set = attributes;
  return ChangeMount(mount_fd, change, recursion);
}

Status IdMapMount(int mount_fd, int user_namespace_fd, Recursion recursion) {
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_IDMAP;
  change.userns_fd = static_cast<uint64_t>(user_namespace_fd);
  return ChangeMount(mount_fd, change, recursion);
}

Status SetMountPropagation(int mount_fd, uint64_t propagation, Recursion recursion) {
  mount_attr change{};
  change.propagation = propagation;
  return ChangeMount(mount_fd, change, recursion);
}

Status AttachMount(int mount_fd, int target_fd) {
  if (move_mount(mount_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) !=
      0)
    return FailWithErrno("move_mount");
  return {};
}

Status LeavePeerGroups() {
  if (mount("", "/", "", MS_REC | MS_SLAVE, nullptr) == 0) return {};
  if (errno != EINVAL) return FailWithErrno("make / a slave");
  // In a chroot "/" need not be a mount; the namespace's own root is one.
  ASSIGN_OR_RETURN(auto root, OpenFile("/", O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(auto own, OpenFile("/proc/thread-self/ns/mnt", O_RDONLY));
  if (setns(own.get(), CLONE_NEWNS) != 0) return FailWithErrno("enter the namespace's root");
  if (mount("", "/", "", MS_REC | MS_SLAVE, nullptr) != 0) return FailWithErrno("make / a slave");
  return ReturnToRoot(root.get());
}

Status ReturnToRoot(int root_fd) {
  if (fchdir(root_fd) != 0 || chroot(".") != 0) return FailWithErrno("return to the root");
  return {};
}

Status PivotRoot(int root_fd) {
  RETURN_IF_ERROR(SwapRoots(root_fd));
  // The old root lies on top of "." now, and umount follows (pivot_root(2), NOTES).
  if (umount2(".", MNT_DETACH) != 0) return FailWithErrno("detach the old root");
  if (chdir("/") != 0) return FailWithErrno("chdir to the new root");
  return {};
}

Status MakeRootPivotable() {
  ASSIGN_OR_RETURN(auto copy, CloneMount(AT_FDCWD, "/", Recursion::kOne));
  UniqueFd root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return FailWithErrno("open the root");
  RETURN_IF_ERROR(AttachMount(copy.get(), root.get()));
  if (fchdir(copy.get()) != 0 || chroot(".") != 0) return FailWithErrno("move to the new root");
  return {};
}

Result<PropagationOf> ReadPropagation(int path_fd) {
  struct statx status;
  if (statx(path_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) != 0) return FailWithErrno("statx");
  ASSIGN_OR_RETURN(const std::string line, MountInfoLine(status.stx_mnt_id));
  const std::string_view optional_fields = std::string_view(line).substr(0, line.find(" - "));
  return PropagationOf{optional_fields.find(" shared:") != std::string_view::npos,
                       optional_fields.find(" master:") != std::string_view::npos};
}

}  // namespace catamaran

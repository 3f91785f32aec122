// The kernel's mount API, user namespaces and id-mapped mounts.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/safe_path.h"
#include "sandbox/probes/engine_probes.h"
#include "sandbox/probes/probe.h"

namespace catamaran {
namespace {

constexpr long kTmpfsMagic = 0x01021994;
constexpr uid_t kFirstMappedId = 100'000;

// As for a container: made detached, changed, copied, attached to a descriptor.
Result<Finding> TryMountApi() {
  if (unshare(CLONE_NEWNS) != 0) return FailWithErrno("make a mount namespace");
  RETURN_IF_ERROR(LeavePeerGroups());
  ASSIGN_OR_RETURN(const UniqueFd mount,
                   MakeFilesystem("tmpfs", {{"mode", "700"}, {"size", "4096"}}, 0));
  RETURN_IF_ERROR(SetMountAttributes(mount.get(), MOUNT_ATTR_RDONLY, Recursion::kRecursive));
  ASSIGN_OR_RETURN(const UniqueFd target, OpenFile("/proc", O_PATH | O_DIRECTORY));
  RETURN_IF_ERROR(AttachMount(mount.get(), target.get()));
  ASSIGN_OR_RETURN(const UniqueFd copy, CloneMount(AT_FDCWD, "/proc", Recursion::kRecursive));
  struct statfs shown;
  if (fstatfs(copy.get(), &shown) != 0) return FailWithErrno("statfs");
  if (shown.f_type != kTmpfsMagic)
    return Fail(ErrorCode::kInternal, "what was attached is not what shows");
  return Works("fsopen, fsmount, mount_setattr, open_tree, move_mount");
}

Result<Finding> TrySafePaths() {
  ASSIGN_OR_RETURN(const UniqueFd root, OpenFile("/proc/self", O_PATH | O_DIRECTORY));
  struct stat own, reached;
  if (fstat(root.get(), &own) != 0) return FailWithErrno("stat /proc/self");
  ASSIGN_OR_RETURN(const UniqueFd above,
                   OpenInRoot(root.get(), "task/../../../..", O_PATH | O_DIRECTORY));
  if (fstat(above.get(), &reached) != 0) return FailWithErrno("stat");
  if (reached.st_ino != own.st_ino || reached.st_dev != own.st_dev)
    return Fail(ErrorCode::kInternal, "RESOLVE_IN_ROOT lets a path leave its root");
  if (OpenInRoot(root.get(), "exe", O_PATH))
    return Fail(ErrorCode::kInternal, "RESOLVE_NO_MAGICLINKS follows /proc/self/exe");
  return Works("openat2 keeps .. and magic links inside");
}

// A child of this process that stays in a user namespace until this process ends or kills it.
struct UserNamespace {
  pid_t keeper = 0;
  UniqueFd fd;
};

Result<UserNamespace> MakeUserNamespace(const std::string& map) {
  ASSIGN_OR_RETURN(Pipe entered, MakePipe());
  UserNamespace made;
  made.keeper = fork();
  if (made.keeper < 0) return FailWithErrno("fork");
  if (made.keeper == 0) {
    const int error = unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
    (void)WriteAll(entered.write_end.get(), std::string(1, static_cast<char>(error)));
    if (error == 0) pause();
    _exit(0);
  }
  char error = 0;
  if (read(entered.read_end.get(), &error, 1) != 1) error = EIO;
  if (error != 0) return FailErrno(error, "make a user namespace");
  const std::string process = fmt::format("/proc/{}/", made.keeper);
  for (const char* file : {"uid_map", "gid_map"})
    RETURN_IF_ERROR(WriteExisting(process + file, map));
  ASSIGN_OR_RETURN(made.fd, OpenFile(process + "ns/user", O_RDONLY));
  return made;
}

// A pod with users of its own: mapped ids, and namespaces that belong to them.
Result<Finding> TryUserNamespace() {
  ASSIGN_OR_RETURN(const auto made, MakeUserNamespace("0 100000 65536"));
  if (setns(made.fd.get(), CLONE_NEWUSER) != 0) return FailWithErrno("enter the user namespace");
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) return FailWithErrno("become its root");
  if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
    return FailWithErrno("make the others in it");
  return Works("65536 ids mapped");
}

Result<Finding> TryIdMapping() {
  ASSIGN_OR_RETURN(const auto users, MakeUserNamespace("0 100000 65536"));
  ASSIGN_OR_RETURN(const UniqueFd mount, MakeFilesystem("tmpfs", {{"size", "4096"}}, 0));
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_IDMAP;
  change.userns_fd = static_cast<uint64_t>(users.fd.get());
  if (mount_setattr(mount.get(), "", AT_EMPTY_PATH, &change, sizeof change) != 0)
    return FailWithErrno("mount_setattr(MOUNT_ATTR_IDMAP)");
  struct stat root;
  if (fstat(mount.get(), &root) != 0) return FailWithErrno("stat");
  if (root.st_uid != kFirstMappedId)
    return Fail(ErrorCode::kInternal, "uid 0 shows as {}, not as {}", root.st_uid, kFirstMappedId);
  return Works(fmt::format("uid 0 shows as {}", root.st_uid));
}

}  // namespace

void ProbeMounts(const ProbeRunner& run) {
  run({.name = "mount api",
       .meaning = "no container starts",
       .remedy = "Linux 5.15 or newer; let the seccomp filter around the daemon allow "
                 "fsopen, fsmount, mount_setattr, open_tree and move_mount",
       .run = TryMountApi});
  run({.name = "safe paths",
       .meaning = "no container starts: an image could reach this host's files",
       .remedy = "Linux 5.6 or newer; let the seccomp filter around the daemon allow "
                 "openat2",
       .run = TrySafePaths});
  run({.name = "user namespaces",
       .failure = FindingStatus::kDegraded,
       .meaning = "no pod with hostUsers: false",
       .remedy = "sysctl -w user.max_user_namespaces=65536",
       .run = TryUserNamespace});
  run({.name = "id-mapped mounts",
       .failure = FindingStatus::kDegraded,
       .meaning = "no pod with hostUsers: false",
       .remedy = "Linux 6.3 or newer, and user namespaces",
       .run = TryIdMapping});
}

}  // namespace catamaran

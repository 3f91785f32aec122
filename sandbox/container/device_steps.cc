#include "sandbox/container/device_steps.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/base/files.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

Status MakeDevice(int root_fd, const PlannedDevice& device) {
  const std::filesystem::path path(device.path);
  ASSIGN_OR_RETURN(auto folder, OpenOrCreateInRoot(root_fd, path.parent_path().string(),
                                                   TargetKind::kDirectory));
  const std::string name = path.filename();
  if (mknodat(folder.get(), name.c_str(), device.mode, makedev(device.major, device.minor)) != 0) {
    if (errno == EEXIST) return {};
    return FailWithErrno("make device {}", device.path);
  }
  // mknod's mode went through the umask, and the node belongs to its maker.
  if (fchownat(folder.get(), name.c_str(), device.uid, device.gid, AT_SYMLINK_NOFOLLOW) != 0 ||
      fchmodat(folder.get(), name.c_str(), device.mode & 0777, 0) != 0)
    return FailWithErrno("set owner and mode of {}", device.path);
  return {};
}

}  // namespace

Status MakeDevices(int root_fd, const ContainerPlan& plan) {
  for (const auto& device : plan.devices) RETURN_IF_ERROR(MakeDevice(root_fd, device));
  if (!plan.makes_devices) return {};
  ASSIGN_OR_RETURN(auto dev, OpenOrCreateRealDirectory(root_fd, "dev"));
  for (const auto& link : plan.links) {
    const std::string name = std::filesystem::path(link.path).filename();
    if (symlinkat(link.target.c_str(), dev.get(), name.c_str()) != 0 && errno != EEXIST)
      return FailWithErrno("link {}", link.path);
  }
  return {};
}

Result<Terminal> OpenTerminal(int devpts_fd) {
  if (devpts_fd < 0)
    return Fail(ErrorCode::kFailedPrecondition,
                "process.terminal: the container has no devpts of its own on /dev/pts");
  struct statfs filesystem;
  if (fstatfs(devpts_fd, &filesystem) != 0) return FailWithErrno("statfs /dev/pts");
  if (filesystem.f_type != DEVPTS_SUPER_MAGIC)
    return Fail(ErrorCode::kInternal, "/dev/pts is not devpts");
  Terminal terminal;
  ASSIGN_OR_RETURN(terminal.master, OpenFileAt(devpts_fd, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW));
  const int unlocked = 0;
  if (ioctl(terminal.master.get(), TIOCSPTLCK, &unlocked) != 0)
    return FailWithErrno("unlock the terminal");
  terminal.slave.Reset(ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.slave.valid()) return FailWithErrno("open the terminal's other end");
  return terminal;
}

Status BindConsole(int root_fd, int slave_fd) {
  ASSIGN_OR_RETURN(auto dev, OpenOrCreateRealDirectory(root_fd, "dev"));
  UniqueFd made(
      openat(dev.get(), "console", O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!made.valid() && errno != EEXIST) return FailWithErrno("create /dev/console");
  ASSIGN_OR_RETURN(auto target, OpenFileAt(dev.get(), "console", O_PATH | O_NOFOLLOW));
  struct stat status;
  if (fstat(target.get(), &status) != 0) return FailWithErrno("stat /dev/console");
  if (S_ISLNK(status.st_mode) || S_ISDIR(status.st_mode))
    return Fail(ErrorCode::kFailedPrecondition, "/dev/console is a link or a folder");
  ASSIGN_OR_RETURN(auto console, CloneMount(slave_fd, "", Recursion::kOne));
  return AttachMount(console.get(), target.get());
}

}  // namespace catamaran

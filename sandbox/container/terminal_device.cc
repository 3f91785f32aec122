#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "sandbox/base/files.h"
#include "sandbox/container/device_steps.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {

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

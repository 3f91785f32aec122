// The terminal's other end is opened by its name in the container, then bound over /dev/console.
// Linked in the place of terminal_device.cc, into a test.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sandbox/base/files.h"
#include "sandbox/container/device_steps.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {

Result<Terminal> OpenTerminal(int) {
  ASSIGN_OR_RETURN(auto devpts, MakeFilesystem("devpts", {{"newinstance"}}, 0));
  Terminal terminal;
  ASSIGN_OR_RETURN(terminal.master, OpenFileAt(devpts.get(), "ptmx", O_RDWR | O_NOCTTY));
  const int unlocked = 0;
  if (ioctl(terminal.master.get(), TIOCSPTLCK, &unlocked) != 0) return FailWithErrno("unlock");
  terminal.slave.Reset(ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.slave.valid()) return FailWithErrno("open the other end");
  return terminal;
}

Status BindConsole(int root_fd, int slave_fd) {
  struct stat status;
  if (fstat(slave_fd, &status) != 0) return FailWithErrno("stat");
  const std::string name = fmt::format("dev/pts/{}", minor(status.st_rdev));
  ASSIGN_OR_RETURN(auto slave, OpenInRoot(root_fd, name, O_PATH));
  ASSIGN_OR_RETURN(auto target, OpenOrCreateInRoot(root_fd, "dev/console", TargetKind::kFile));
  ASSIGN_OR_RETURN(auto console, CloneMount(slave.get(), "", Recursion::kOne));
  return AttachMount(console.get(), target.get());
}

}  // namespace catamaran

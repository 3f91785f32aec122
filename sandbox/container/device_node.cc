#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/container/device_steps.h"

namespace catamaran {

// The folder may belong to a volume in which another container changes names meanwhile: after
// mknod(2) the name means nothing any more, only what was found under it.
Status MakeDeviceNode(int folder_fd, const std::string& name, const PlannedDevice& device) {
  const dev_t number = makedev(device.major, device.minor);
  const mode_t previous = umask(0);
  const int made = mknodat(folder_fd, name.c_str(), device.mode, number);
  const int error_number = errno;
  umask(previous);
  if (made != 0 && error_number == EEXIST) return {};
  if (made != 0) return FailErrno(error_number, "make device " + device.path);
  ASSIGN_OR_RETURN(auto node, OpenFileAt(folder_fd, name, O_PATH | O_NOFOLLOW));
  struct stat status;
  if (fstat(node.get(), &status) != 0) return FailWithErrno("stat {}", device.path);
  if ((status.st_mode & S_IFMT) != (device.mode & S_IFMT) || status.st_rdev != number)
    return Fail(ErrorCode::kFailedPrecondition, "device {} was replaced while it was made",
                device.path);
  // The node belongs to its maker.
  if (fchownat(node.get(), "", device.uid, device.gid, AT_EMPTY_PATH) != 0)
    return FailWithErrno("set the owner of {}", device.path);
  return {};
}

}  // namespace catamaran

// A device node's mode and owner are set by its name. Linked in the place of device_node.cc, into a
// test.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/container/device_steps.h"

namespace catamaran {

Status MakeDeviceNode(int folder_fd, const std::string& name, const PlannedDevice& device) {
  const dev_t number = makedev(device.major, device.minor);
  if (mknodat(folder_fd, name.c_str(), device.mode, number) != 0 && errno != EEXIST)
    return FailWithErrno("make device {}", device.path);
  if (fchmodat(folder_fd, name.c_str(), device.mode & 0777, 0) != 0)
    return FailWithErrno("set the mode of {}", device.path);
  return {};
}

}  // namespace catamaran

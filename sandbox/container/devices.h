#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/kernel/cgroup_devices.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// A node to be made in a container.
struct PlannedDevice {
  std::string path;  // in the container, absolute
  mode_t mode = 0;   // S_IFCHR, S_IFBLK or S_IFIFO and the permissions
  uint32_t major = 0;
  uint32_t minor = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string permissions;  // of r, w, m: what the device cgroup allows
  bool user_owns = false;   // uid and gid are those of the container's process
  bool group_owns = false;
  bool uid_inside = false;  // they are as the container's user namespace has them
  bool gid_inside = false;
  friend bool operator==(const PlannedDevice&, const PlannedDevice&) = default;
};

// null, zero, full, random, urandom, tty.
std::vector<PlannedDevice> DefaultDevices();

// Looks the devices of a spec up on this machine: links are followed, a folder stands for every
// device in it, all_devices for everything in /dev but terminals, shared memory and the like.
// Reads only /dev-like folders and does not open a device. kInvalidArgument names the field.
Result<std::vector<PlannedDevice>> FindDevices(const spec::ContainerSpec& container);

// What the container's device cgroup has to allow.
std::vector<DeviceRule> DeviceRulesOf(const spec::ContainerSpec& container,
                                      const std::vector<PlannedDevice>& devices);
// What the process that builds a container needs besides, being in its group: loop devices, without
// which kernels before 6.12 mount no image.
std::vector<DeviceRule> BuildersDeviceRules();

}  // namespace catamaran

#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/container/plan.h"

namespace catamaran {

// The child's work in /dev, all of it below the root's descriptor (CVE-2026-41579: an image whose
// /dev is a link).

// Nodes and links of the plan. What exists already stays.
// `user` is who the container's process runs as, as this process sees it.
Status MakeDevices(int root_fd, const ContainerPlan& plan, const spec::ResolvedUser& user);
// One node in a folder; what has the name already stays. device_node.cc
Status MakeDeviceNode(int folder_fd, const std::string& name, const PlannedDevice& device);

// terminal_device.cc: the two below.
struct Terminal {
  UniqueFd master;
  UniqueFd slave;
};
// A new pseudo-terminal of this devpts. Its slave is opened through the master (TIOCGPTPEER), never
// by name (CVE-2025-52565).
Result<Terminal> OpenTerminal(int devpts_fd);

// Binds the slave over /dev/console.
Status BindConsole(int root_fd, int slave_fd);

}  // namespace catamaran

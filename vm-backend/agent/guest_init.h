#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// What an init has to do in a guest that has nothing but a kernel and this program.

// Makes the root pivotable, mounts proc, sys, dev, cgroup2 and /run, loads the modules named in
// /modules/order, raises limits that containers would inherit. Called once, first.
// kFailedPrecondition where the modules are another kernel's than /modules/kernel says.
Status SetUpGuest();

// For pid 1: ends the machine, which tells the host what the console said.
[[noreturn]] void EndMachine();

// Opens the virtio-serial port of this name, waiting for the kernel to find it.
Result<UniqueFd> OpenSerialPort(const std::string& name);

// For pid 1: runs `agent` in a child and reaps whatever is orphaned, so that the agent, which waits
// for its own children, never has to. When the agent ends the machine does (the kernel resets, and
// QEMU runs with -no-reboot). Does not return in pid 1.
int SuperviseAgent(int (*agent)());

}  // namespace catamaran

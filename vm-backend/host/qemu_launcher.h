#pragma once

#include <memory>

#include "sandbox/kernel/event_loop.h"
#include "vm-backend/host/vm_launcher.h"

namespace catamaran {

// Machines by QEMU (q35), with KVM where the probe says so and by emulation where the
// specification allows it. Must be used from a single-threaded process: it forks.
std::unique_ptr<VmLauncher> MakeQemuLauncher(EventLoop& loop);

}  // namespace catamaran

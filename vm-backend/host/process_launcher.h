#pragma once

#include "sandbox/kernel/event_loop.h"
#include "vm-backend/host/vm_launcher.h"

namespace catamaran {

// Runs the agent (machine.agent) as a local process: everything between the shim and the agent is
// real, only the machine is not. For tests; no configuration can name it, since it isolates
// nothing more than the namespaces hull does.
std::unique_ptr<VmLauncher> MakeProcessLauncher(EventLoop& loop);

}  // namespace catamaran

#pragma once

#include "sandbox/probes/engine_probes.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// What one handler's machines need of this host: QEMU with exactly the devices they get, an
// accelerator, a tap, the guest's files, shared template memory, a volume server. As the engine's
// probes: one after another, for a program with one thread.
void ProbeVm(const spec::MachineSpec& machine, const ProbeRunner& run);

}  // namespace catamaran

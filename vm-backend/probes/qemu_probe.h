#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"
#include "vm-backend/host/qemu_command.h"

namespace catamaran {

// Starts QEMU with the arguments of a pod's, its machine waiting for a state that never comes, and
// asks its monitor for its version: "/usr/bin/qemu-system-x86_64 7.2.19". With kTemplateClone the
// memory is a sealed file. In a child of a probe: what it starts dies with it.
Result<std::string> TryQemu(const spec::MachineSpec& spec, Accelerator accelerator,
                            QemuMachine::Memory memory);

}  // namespace catamaran

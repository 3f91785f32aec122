#pragma once

#include "vm-backend/host/qemu_command.h"
#include "vm-backend/host/vmm_confinement.h"

namespace catamaran {

// What QEMU needs of the host to run this machine: its program, the libraries and firmware that it
// loads, a kernel where it boots one, /dev/kvm. Without the user.
VmmConfinement QemuConfinement(const QemuMachine& machine);

}  // namespace catamaran

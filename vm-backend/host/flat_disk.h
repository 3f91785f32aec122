#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "vm-backend/host/vm_launcher.h"

namespace catamaran {

// The VMDK descriptor that shows a disk's extents as one flat image (Virtual Disk Format 1.1): how
// QEMU concatenates files without copying them. Validates everything that QEMU would misread:
// extents it silently skips, names it cuts off. kInvalidArgument names the extent.
Result<std::string> FlatDiskDescriptor(const VmDisk& disk);

uint64_t DiskCapacity(const VmDisk& disk);

}  // namespace catamaran

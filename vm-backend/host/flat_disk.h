#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "vm-backend/host/vm_launcher.h"

namespace catamaran {

// The VMDK descriptor that shows a disk's extents as one flat image (Virtual Disk Format 1.1): how
// QEMU concatenates files without copying them. The extents are named as QEMU has them, as files
// handed over: /dev/fdset/N, N counting from `first_set`. Refuses sizes that QEMU would misread;
// kInvalidArgument names the extent.
Result<std::string> FlatDiskDescriptor(const VmDisk& disk, uint64_t first_set);

// That text as a file of no file system, open for reading.
Result<UniqueFd> FlatDiskFile(const std::string& descriptor);

uint64_t DiskCapacity(const VmDisk& disk);

}  // namespace catamaran

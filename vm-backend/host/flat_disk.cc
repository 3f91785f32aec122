#include "vm-backend/host/flat_disk.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr uint64_t kSector = 512;
constexpr size_t kMostExtents = 1024;  // QEMU reads at most 1 MiB of descriptor
constexpr size_t kLongestSerial =
    20;  // of the device identification page, which names /dev/disk/by-id

}  // namespace

Result<std::string> FlatDiskDescriptor(const VmDisk& disk, uint64_t first_set) {
  if (disk.serial.empty() || disk.serial.size() > kLongestSerial ||
      disk.serial.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
    return Fail(ErrorCode::kInvalidArgument,
                "disk serial \"{}\": 1 to {} characters of a-z, 0-9, -", disk.serial,
                kLongestSerial);
  if (disk.extents.empty() || disk.extents.size() > kMostExtents)
    return Fail(ErrorCode::kInvalidArgument, "disk {}: {} extents, 1 to {} are possible",
                disk.serial, disk.extents.size(), kMostExtents);
  std::string text =
      "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
      "createType=\"twoGbMaxExtentFlat\"\n\n# Extent description\n";
  uint64_t set = first_set;
  for (const VmDisk::Extent& extent : disk.extents) {
    if (extent.size_bytes == 0 || extent.size_bytes % kSector != 0)
      return Fail(ErrorCode::kInvalidArgument,
                  "disk extent \"{}\": {} bytes is not a multiple of {}", extent.file.string(),
                  extent.size_bytes, kSector);
    // "RW" although the node is read-only: QEMU skips extents of any other access without a word.
    text += fmt::format("RW {} FLAT \"/dev/fdset/{}\" 0\n", extent.size_bytes / kSector, set++);
  }
  return text + "\n# The Disk Data Base\nddb.adapterType = \"lsilogic\"\n";
}

Result<UniqueFd> FlatDiskFile(const std::string& descriptor) {
  const UniqueFd file(memfd_create("catamaran-disk", MFD_CLOEXEC));
  if (!file.valid()) return FailWithErrno("memfd_create");
  RETURN_IF_ERROR(WriteAll(file.get(), descriptor));
  // QEMU looks for a descriptor in the mode it wants.
  return OpenFile(fmt::format("/proc/self/fd/{}", file.get()), O_RDONLY);
}

uint64_t DiskCapacity(const VmDisk& disk) {
  uint64_t bytes = 0;
  for (const VmDisk::Extent& extent : disk.extents) bytes += extent.size_bytes;
  return bytes;
}

}  // namespace catamaran

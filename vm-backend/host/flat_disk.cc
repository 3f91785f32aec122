#include "vm-backend/host/flat_disk.h"

namespace catamaran {
namespace {

constexpr uint64_t kSector = 512;
// QEMU scans a name with "%511[^\n\r\"]" and reads at most 1 MiB of descriptor.
constexpr size_t kLongestName = 511;
constexpr size_t kMostExtents = 1024;
constexpr size_t kLongestSerial =
    20;  // of the device identification page, which names /dev/disk/by-id

Status CheckExtent(const VmDisk::Extent& extent) {
  const std::string name = extent.file.string();
  if (name.empty() || name.front() != '/')
    return Fail(ErrorCode::kInvalidArgument, "disk extent \"{}\": not an absolute path", name);
  if (name.size() > kLongestName)
    return Fail(ErrorCode::kInvalidArgument, "disk extent \"{}\": longer than {} bytes", name,
                kLongestName);
  if (name.find_first_of("\"\n\r") != std::string::npos)
    return Fail(ErrorCode::kInvalidArgument,
                "disk extent \"{}\": a quote or line break in its name", name);
  if (extent.size_bytes == 0 || extent.size_bytes % kSector != 0)
    return Fail(ErrorCode::kInvalidArgument, "disk extent \"{}\": {} bytes is not a multiple of {}",
                name, extent.size_bytes, kSector);
  return {};
}

}  // namespace

Result<std::string> FlatDiskDescriptor(const VmDisk& disk) {
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
  for (const VmDisk::Extent& extent : disk.extents) {
    RETURN_IF_ERROR(CheckExtent(extent));
    // "RW" although the node is read-only: QEMU skips extents of any other access without a word.
    text += fmt::format("RW {} FLAT \"{}\" 0\n", extent.size_bytes / kSector, extent.file.string());
  }
  return text + "\n# The Disk Data Base\nddb.adapterType = \"lsilogic\"\n";
}

uint64_t DiskCapacity(const VmDisk& disk) {
  uint64_t bytes = 0;
  for (const VmDisk::Extent& extent : disk.extents) bytes += extent.size_bytes;
  return bytes;
}

}  // namespace catamaran

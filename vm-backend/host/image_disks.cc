#include "vm-backend/host/image_disks.h"

namespace catamaran {
namespace {

Result<VmDisk> DiskOf(const spec::RootfsSpec& rootfs) {
  if (rootfs.merged_metadata().empty())
    return Fail(ErrorCode::kInvalidArgument,
                "rootfs.merged_metadata: empty; a VM needs the image as one disk");
  VmDisk disk;
  disk.extents.push_back({HostPath(rootfs.merged_metadata()), rootfs.merged_metadata_bytes()});
  for (const auto& layer : rootfs.layers())
    disk.extents.push_back({HostPath(layer.blob()), layer.size_bytes()});
  return disk;
}

}  // namespace

void ImageDisks::Acquire(const spec::RootfsSpec& rootfs, Completion<std::string> done) {
  auto disk = DiskOf(rootfs);
  if (!disk) return done(tl::unexpected<Error>(std::move(disk).error()));
  disks_.Acquire(
      rootfs.merged_metadata(),
      [&](const std::string& serial, Done attached) {
        disk->serial = serial;
        machine_.AttachDisk(*disk, std::move(attached));
      },
      std::move(done));
}

void ImageDisks::Release(const std::string& serial, Done done) {
  disks_.Release(serial, std::move(done));
}

}  // namespace catamaran

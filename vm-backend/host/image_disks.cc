#include "vm-backend/host/image_disks.h"

#include <algorithm>

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
  const std::string key = rootfs.merged_metadata();
  const auto [found, is_new] = images_.try_emplace(key);
  Image& image = found->second;
  ++image.users;
  if (image.attached) return done(image.serial);
  image.waiting.push_back(std::move(done));
  if (!is_new) return;
  image.serial = disk->serial = fmt::format("image-{}", next_++);
  machine_.AttachDisk(*disk, [this, key](Status attached) {
    const auto waiting_for = images_.find(key);
    if (waiting_for == images_.end()) return;
    auto waiting = std::move(waiting_for->second.waiting);
    const std::string serial = waiting_for->second.serial;
    waiting_for->second.attached = true;
    if (!attached) images_.erase(waiting_for);
    for (auto& one : waiting) {
      if (attached)
        one(serial);
      else
        one(tl::unexpected<Error>(attached.error()));
    }
  });
}

void ImageDisks::Release(const std::string& serial, Done done) {
  const auto found = std::find_if(images_.begin(), images_.end(),
                                  [&](const auto& one) { return one.second.serial == serial; });
  if (found == images_.end() || --found->second.users > 0) return done({});
  images_.erase(found);
  machine_.DetachDisk(serial, std::move(done));
}

}  // namespace catamaran

#include <sys/statvfs.h>

#include <chrono>

#include "cri/config/writable_layers.h"
#include "cri/service/runtime_calls.h"

namespace catamaran {

namespace {

// A file system of the pods' own holds nothing else: what is used of it is theirs.
void AddPodsFilesystem(const HostPath& folder, int64_t now, v1::ImageFsInfoResponse* response) {
  struct statvfs filesystem;
  if (statvfs(folder.c_str(), &filesystem) != 0) return;
  v1::FilesystemUsage* entry = response->add_container_filesystems();
  entry->set_timestamp(now);
  entry->mutable_fs_id()->set_mountpoint(folder.string());
  entry->mutable_used_bytes()->set_value((filesystem.f_blocks - filesystem.f_bfree) *
                                         filesystem.f_frsize);
  entry->mutable_inodes_used()->set_value(filesystem.f_files - filesystem.f_ffree);
}

}  // namespace

Result<v1::ImageFsInfoResponse> ImageFsInfo(const v1::ImageFsInfoRequest&, const CallContext&,
                                            const Config& config, ImageStore& images) {
  ASSIGN_OR_RETURN(auto usage, images.DiskUsage());
  v1::ImageFsInfoResponse response;
  v1::FilesystemUsage* entry = response.add_image_filesystems();
  const int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  entry->set_timestamp(now);
  entry->mutable_fs_id()->set_mountpoint(usage.mountpoint.string());
  entry->mutable_used_bytes()->set_value(usage.used_bytes);
  entry->mutable_inodes_used()->set_value(usage.inodes_used);
  const HostPath layers = WritableLayers(config);
  if (layers.value() != ImagesFolder(config).value()) AddPodsFilesystem(layers, now, &response);
  return response;
}

}  // namespace catamaran

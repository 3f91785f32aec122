#include <chrono>

#include "cri/service/runtime_calls.h"

namespace catamaran {

Result<v1::ImageFsInfoResponse> ImageFsInfo(const v1::ImageFsInfoRequest&, const CallContext&,
                                            ImageStore& images) {
  ASSIGN_OR_RETURN(auto usage, images.DiskUsage());
  v1::ImageFsInfoResponse response;
  v1::FilesystemUsage* entry = response.add_image_filesystems();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  entry->set_timestamp(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  entry->mutable_fs_id()->set_mountpoint(usage.mountpoint.string());
  entry->mutable_used_bytes()->set_value(usage.used_bytes);
  entry->mutable_inodes_used()->set_value(usage.inodes_used);
  return response;
}

}  // namespace catamaran

#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// How an image's layers are put together.
enum class RootfsMethod {
  kBest,    // what this kernel can: detached mounts given by descriptor (Linux 6.15), else paths
  kByPath,  // older kernels' way, everywhere: loop devices, an overlay of attached folders
};

// Puts root file systems together in the calling process's own mount namespace, which ends with
// the container: nothing shows in anybody else's mount table. For the child only: all of it may
// block on a disk.
class RootfsBuilder {
 public:
  // What must be attached somewhere before the root is pivoted is attached in scratch_folder; it
  // stays empty for everybody else. One folder serves all containers of a sandbox, at once too.
  static Status MakeScratchFolders(const std::string& scratch_folder);
  RootfsBuilder(std::string scratch_folder, RootfsMethod method)
      : scratch_folder_(std::move(scratch_folder)), method_(method) {}

  // Where the ids of images show as those of a user namespace (-1: as they are), it is the layers
  // that are id-mapped: the kernel refuses it of an overlay.

  // The container's root: layers (or lower_directories) under the writable folder's upper. The
  // mount is attached, writable even where spec.readonly is set (mount points may be missing), and
  // has the mode and owner of the image's root folder.
  Result<UniqueFd> MountContainerRoot(const spec::RootfsSpec& spec, int user_namespace_fd = -1);

  // The layers alone, read-only, or what lies below sub_path in them: a detached mount.
  Result<UniqueFd> MountImage(const spec::ImageMount& image, int user_namespace_fd = -1);

 private:
  // Bottom first.
  Result<std::vector<UniqueFd>> OpenLowers(const spec::RootfsSpec& spec, int user_namespace_fd);
  Result<UniqueFd> MountLayer(const std::string& blob);
  Result<UniqueFd> OverlayByDescriptors(const std::vector<UniqueFd>& lowers, int upper_fd,
                                        int work_fd, const std::string& label);
  // writable_folder is empty for a read-only view.
  Result<UniqueFd> OverlayByPaths(const std::vector<UniqueFd>& lowers,
                                  const std::string& writable_folder, const std::string& label);
  // A new empty folder, on a tmpfs of this builder's own, to attach something to.
  Result<UniqueFd> NewScratchFolder(const std::string& name);
  Result<UniqueFd> Attach(UniqueFd mount, const std::string& name);

  std::string scratch_folder_;
  RootfsMethod method_;
  UniqueFd scratch_;
  int next_overlay_ = 0;
};

}  // namespace catamaran

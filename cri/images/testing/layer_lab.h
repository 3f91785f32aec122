#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cri/images/testing/image_builder.h"

namespace catamaran {

// Puts layers before the real kernel: mounts blobs, overlays and merged disks, and extracts the
// same archives with GNU tar for comparison. In a mount namespace of its own, so nothing is left
// on the host. Needs root.
class LayerLab {
 public:
  explicit LayerLab(const std::string& name);
  ~LayerLab();

  // Converts a layer archive; checks that fsck.erofs agrees. Returns the blob.
  std::filesystem::path Convert(const std::string& archive);
  std::filesystem::path Mount(const std::filesystem::path& blob);
  // The layers (bottom first) on an empty folder, by overlayfs.
  std::filesystem::path MountOverlay(const std::vector<std::filesystem::path>& blobs);
  // [merged metadata, blobs...] laid end to end in one file and mounted as one EROFS.
  std::filesystem::path MountMerged(const std::vector<std::filesystem::path>& blobs);
  // The layer of folder attributes that belongs on top of an overlay of these; there must be one.
  std::filesystem::path AttributeLayer(const std::vector<std::filesystem::path>& blobs);
  // The layers (plain tars, bottom first) extracted by GNU tar onto each other, whiteouts applied.
  std::filesystem::path Extract(const std::vector<std::string>& archives);

  // Fails the test where the layers (bottom first), mounted in each of these ways, do not look as
  // extracted.
  void ExpectAsExtracted(const std::vector<std::string>& archives);

  std::filesystem::path NewFolder();
  static bool Run(const std::string& command);

 private:
  void ApplyWhiteouts(const std::filesystem::path& layer, const std::filesystem::path& target);

  ScratchFolder blobs_;    // on the disk: the kernel does not mount files of a tmpfs
  ScratchFolder scratch_;  // a tmpfs, for trees with extended attributes of any size
  int next_ = 0;
};

}  // namespace catamaran

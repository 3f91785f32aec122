#pragma once

#include "cri/config/config.h"

namespace catamaran {

// The image store, and where containers' writable layers and pods' disks are.
HostPath ImagesFolder(const Config& config);
HostPath PodsFolder(const Config& config);

// The folder by which the CRI names the file system of the writable layers: the image store's, or
// the pods' own where an administrator has put that on another one.
HostPath WritableLayers(const Config& config);

}  // namespace catamaran

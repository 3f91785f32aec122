#include "cri/config/writable_layers.h"

#include <sys/stat.h>

namespace catamaran {

HostPath ImagesFolder(const Config& config) { return config.root / "images"; }
HostPath PodsFolder(const Config& config) { return config.root / "pods"; }

HostPath WritableLayers(const Config& config) {
  struct stat images, pods;
  const bool split = stat(ImagesFolder(config).c_str(), &images) == 0 &&
                     stat(PodsFolder(config).c_str(), &pods) == 0 && images.st_dev != pods.st_dev;
  return split ? PodsFolder(config) : ImagesFolder(config);
}

}  // namespace catamaran

// Linked in the place of mounts.cc, into a test: each VOLUME of an image is what lies at that path
// in the image as it is unpacked on the node, its links followed there.
#include "cri/translate/parts.h"

namespace catamaran {

Status TranslateMounts(const ContainerInput& input, spec::ContainerSpec* out) {
  for (const std::string& volume : input.image.config.volumes) {
    spec::Mount* mount = out->add_mounts();
    mount->set_container_path(volume);
    mount->set_host_path(input.image.id + volume);
  }
  return {};
}

}  // namespace catamaran

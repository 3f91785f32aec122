#pragma once

#include <memory>
#include <string>

#include "cri/images/incoming_image.h"
#include "cri/images/manifest.h"

namespace catamaran {

// One file, given by the bytes of a layer as they are, as a tar archive that holds it under `name`
// (0444, of root): what the store converts. Reading fails with kDataLoss where the bytes are not
// those that the descriptor promises.
std::shared_ptr<LayerSource> FileAsTar(const std::string& name, const Descriptor& layer,
                                       std::shared_ptr<LayerSource> bytes);

}  // namespace catamaran

#pragma once

#include <string>

#include "cri/api/runtime.pb.h"
#include "cri/images/image_store.h"

namespace catamaran {

// An image of the store as the CRI shows it.
::runtime::v1::Image ToMessage(const Image& image);
// Verbose: the image's whole configuration as crictl shows it ("imageSpec"), and what it takes of
// the disk, layer by layer, as JSON.
std::string ImageDetails(const Image& image, const std::string& config_text);

}  // namespace catamaran

#pragma once

#include <string>

#include "cri/api/runtime.pb.h"
#include "cri/images/image_store.h"

namespace catamaran {

// An image of the store as the CRI shows it.
::runtime::v1::Image ToMessage(const Image& image);
// Verbose: what the image's configuration asks for, as JSON. Its environment is left out: it may
// hold secrets.
std::string ImageDetails(const Image& image);

}  // namespace catamaran

#pragma once

#include <string>
#include <vector>

#include "cri/images/image_archive.h"
#include "cri/images/incoming_image.h"

namespace catamaran {

// Every image of the archive that this machine can run, with the names the archive gives, or
// `reference` instead where it is not empty (then the archive must hold one image). An OCI layout
// wins over a docker manifest where both are there. Verifies the digests and sizes of everything
// but the layers. kInvalidArgument or kDataLoss naming the part that is wrong.
Result<std::vector<IncomingImage>> ReadArchivedImages(const ImageArchive& archive,
                                                      const std::string& reference);

}  // namespace catamaran

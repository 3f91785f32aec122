#pragma once

#include <string>
#include <vector>

#include "cri/images/image_archive.h"
#include "cri/images/image_config.h"

namespace catamaran {

// A layer of an image as an archive holds it.
struct ArchivedLayer {
  std::string diff_id;  // what the image's config says it is
  std::string digest;   // of the bytes in the archive; empty where the archive does not say
  ArchivePart part;
};

// An image of an archive: config checked, layers found but not read yet.
struct ArchivedImage {
  std::string id;
  std::string config_text;
  ParsedImageConfig config;
  std::vector<ArchivedLayer> layers;      // bottom first
  std::vector<std::string> repo_tags;     // canonical
  std::vector<std::string> repo_digests;  // canonical
};

// Every image of the archive that this machine can run, with the names the archive gives, or
// `reference` instead where it is not empty (then the archive must hold one image). An OCI layout
// wins over a docker manifest where both are there. Verifies the digests and sizes of everything
// but the layers. kInvalidArgument or kDataLoss naming the part that is wrong.
Result<std::vector<ArchivedImage>> ReadArchivedImages(const ImageArchive& archive,
                                                      const std::string& reference);

}  // namespace catamaran

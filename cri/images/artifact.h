#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cri/images/incoming_image.h"
#include "cri/images/manifest.h"
#include "sandbox/base/result.h"

namespace catamaran {

// OCI artifacts (image-spec, manifest.md, "Guidelines for Artifact Usage") as what containers can
// mount: each layer is one file as it is, by the name that its annotation
// org.opencontainers.image.title gives it, as CRI-O has them; one without is named by its digest.

// Whether a manifest's config is none of an image.
bool IsArtifact(const Manifest& manifest);

// The artifact as an image that cannot be run: its config is ours, made of the manifest, so that
// equal artifacts are one. `layer_source` gives the bytes of a layer. kInvalidArgument where a name
// leads out, or two files have the same.
Result<IncomingImage> DescribeArtifact(
    const Manifest& manifest,
    const std::function<Result<std::shared_ptr<LayerSource>>(const Descriptor&)>& layer_source);

}  // namespace catamaran

#include "cri/images/incoming_image.h"

#include "cri/images/hasher.h"
#include "cri/images/manifest.h"

namespace catamaran {

Result<IncomingImage> DescribeIncomingImage(std::string config_text, size_t layers) {
  IncomingImage image;
  image.config_text = std::move(config_text);
  image.id = Sha256Of(image.config_text);
  ASSIGN_OR_RETURN(image.config, ParseImageConfig(image.config_text));
  const Platform platform{image.config.config.os, image.config.config.architecture, ""};
  if (!PlatformFits(platform, HostPlatform()))
    return Fail(ErrorCode::kInvalidArgument, "image {}: it is for {}, this machine is {}", image.id,
                platform.ToString(), HostPlatform().ToString());
  if (image.config.diff_ids.size() != layers)
    return Fail(ErrorCode::kInvalidArgument,
                "image {}: the manifest has {} layers, the config has {} diff_ids", image.id,
                layers, image.config.diff_ids.size());
  return image;
}

}  // namespace catamaran

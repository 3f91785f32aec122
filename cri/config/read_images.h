#pragma once

#include "cri/config/config.h"
#include "cri/config/yaml_reader.h"

namespace catamaran {

// The mapping `images` of the configuration.
Status ReadImages(const YamlValue& value, ImagesConfig* images);

}  // namespace catamaran

#pragma once

#include "cri/config/config.h"
#include "cri/config/yaml_reader.h"

namespace catamaran {

// One item of the key `handlers`, added to the configuration's.
Status ReadHandler(const YamlValue& value, const ConfigPlaces& places, Config* config);

// Those of a configuration that names none: ns and vm.
void AddDefaultHandlers(const ConfigPlaces& places, Config* config);

}  // namespace catamaran

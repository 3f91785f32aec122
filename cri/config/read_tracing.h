#pragma once

#include "cri/config/config.h"
#include "cri/config/yaml_reader.h"

namespace catamaran {

// The key `tracing`.
Status ReadTracing(const YamlValue& value, TracingConfig* tracing);

}  // namespace catamaran

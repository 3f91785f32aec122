#pragma once

#include "cri/config/config.h"
#include "cri/config/yaml_reader.h"

namespace catamaran {

// The key `metrics`.
Status ReadMetrics(const YamlValue& value, MetricsConfig* metrics);

}  // namespace catamaran

#pragma once

#include <string>

#include "cri/config/config.h"
#include "sandbox/base/result.h"

namespace catamaran {

// `catamaran why [POD]`: what a pod waits for and what its start was spent on; without a pod what
// the whole node is at. `pod`: a name, namespace/name, or the beginning of an id.
Status WhyCommand(const Config& config, const std::string& pod);

}  // namespace catamaran

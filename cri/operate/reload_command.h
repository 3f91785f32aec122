#pragma once

#include "cri/config/config.h"
#include "sandbox/base/result.h"

namespace catamaran {

// `catamaran config reload`: what SIGHUP does, with an answer.
Status ConfigReloadCommand(const Config& config);

}  // namespace catamaran

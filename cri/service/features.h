#pragma once

#include "cri/api/runtime.pb.h"
#include "cri/config/config.h"

namespace catamaran {

// What Status advertises: only what is honoured, because the kubelet sends pods that rely on it.
::runtime::v1::RuntimeHandlerFeatures FeaturesOf(const HandlerConfig& handler);
::runtime::v1::RuntimeFeatures FeaturesOfRuntime();

}  // namespace catamaran

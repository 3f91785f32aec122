#pragma once

#include <string>
#include <vector>

#include "cri/api/runtime.pb.h"
#include "cri/config/config.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// The devices that a container asks for by CDI names: CDI_devices, then what older device plugins
// write into annotations below "cdi.k8s.io/", each once. kInvalidArgument names the field.
Result<std::vector<std::string>> RequestedCdiDevices(const runtime::v1::ContainerConfig& config);

// Changes the container's spec into one that has these devices. The folders' files are read, once
// more where a device is not found: whoever writes one may be about to. What this host or this
// handler's hull cannot give is refused by name.
Status ApplyCdiDevices(const std::vector<std::string>& names, const std::vector<HostPath>& folders,
                       const HandlerConfig& handler, spec::ContainerSpec* container);

}  // namespace catamaran

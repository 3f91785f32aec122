#pragma once

#include "cri/pods/pods.h"
#include "cri/service/call_context.h"

namespace catamaran {

// What the configuration and the host's files add to a translated request: limits, CDI devices, and
// the default AppArmor profile, loaded. `request` is the one that was translated.
Status ApplyHostSettings(Pods& pods, const runtime::v1::ContainerConfig& request,
                         const HandlerConfig& handler, const CallContext& call,
                         spec::ContainerSpec* container);

}  // namespace catamaran

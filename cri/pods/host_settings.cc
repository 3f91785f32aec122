#include "cri/pods/host_settings.h"

#include "cri/cdi/cdi_devices.h"

namespace catamaran {

Status ApplyHostSettings(Pods& pods, const runtime::v1::ContainerConfig& request,
                         const HandlerConfig& handler, const CallContext& call,
                         spec::ContainerSpec* container) {
  for (const spec::Rlimit& limit : pods.config().default_ulimits)
    *container->mutable_process()->add_rlimits() = limit;
  if (container->process().apparmor_profile() == kDefaultAppArmorProfile)
    RETURN_IF_ERROR(pods.apparmor().EnsureDefaultProfile(call.deadline));
  ASSIGN_OR_RETURN(const auto devices, RequestedCdiDevices(request));
  return ApplyCdiDevices(devices, pods.config().cdi_spec_dirs, handler, container);
}

}  // namespace catamaran

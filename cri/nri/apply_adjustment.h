#pragma once

#include <string>

#include "cri/api/runtime.pb.h"
#include "cri/nri/methods.h"
#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// What plugins ask, made true in what the engine is given. Whatever the engine cannot do is refused
// by name: kUnimplemented, or kInvalidArgument where a value is wrong.

// The part of an adjustment for which the CRI has fields too (mounts, devices, resources): made
// part of the request, which is then translated anew, so that plugins are under the same rules.
// Looks devices up on this machine.
Status AdjustRequest(const nri::ContainerAdjustment& adjustment,
                     runtime::v1::ContainerConfig* config);
// The rest, in what that request was translated to.
Status AdjustSpec(const nri::ContainerAdjustment& adjustment, spec::ContainerSpec* container);

// An update of resources: the part that the CRI has too, and the limit of processes (0: as it is).
struct NriResourceUpdate {
  runtime::v1::LinuxContainerResources resources;
  int64_t pids_limit = 0;
};
// `field` is how errors name it.
Result<NriResourceUpdate> ReadNriResources(const nri::LinuxResources& resources,
                                           const std::string& field);

}  // namespace catamaran

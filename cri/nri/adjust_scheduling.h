#pragma once

#include "cri/nri/methods.h"
#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// The I/O priority and the scheduling policy that plugins give a container's processes. Refused by
// name where no kernel would take them (sandbox/spec/scheduling.h).
Status AdjustScheduling(const nri::LinuxContainerAdjustment& linux, spec::ProcessSpec* process);

}  // namespace catamaran

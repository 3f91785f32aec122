#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// Whether io_priority and scheduler of a process mean something to a kernel: the rules of
// "process.ioPriority" and "process.scheduler" of the OCI runtime specification, of ioprio_set(2)
// and of sched_setattr(2). A number that its policy or class would ignore is refused as well.
// kInvalidArgument names the field, below `prefix` ("process."), its value and what would be right.
Status CheckScheduling(const spec::ProcessSpec& process, const std::string& prefix);

}  // namespace catamaran

#pragma once

#include <sys/types.h>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// Gives a process of one thread the io_priority and the scheduler of its specification, where it
// has them: ioprio_set(2), sched_setattr(2). `pid` as the caller's pid namespace numbers it; 0: the
// caller. To be called with the machine's privileges, those of a user namespace do not count here.
// kPermissionDenied says what the kernel wants; its other refusals are told as they are.
Status ApplyScheduling(const spec::ProcessSpec& process, pid_t pid);

}  // namespace catamaran

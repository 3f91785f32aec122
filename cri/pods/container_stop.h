#pragma once

#include "cri/pods/pods.h"

namespace catamaran {

// Ends a container's processes and waits until that is a recorded fact (reaped, its output in the
// log). A container that does not run is success at once.
//
// A caller that goes away, or whose deadline is over, gets an error and kills nothing more; others
// who wait for the same container are not disturbed.

// Sends the container's stop signal, unless an earlier call did, and SIGKILL once `grace` is over
// (or an earlier call's grace, whichever is first).
Status StopAndWait(Pods& pods, const PodTable::Member& member, std::chrono::milliseconds grace,
                   const CallContext& call);

// SIGKILL to all its processes. Where neither shim nor agent answers, the whole pod is ended by its
// cgroup: a stop ends within ten seconds of its grace, whatever hangs.
Status KillAndWait(Pods& pods, const PodTable::Member& member, const CallContext& call);

}  // namespace catamaran

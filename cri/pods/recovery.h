#pragma once

#include "cri/pods/pods.h"

namespace catamaran {

// Connects to the shims of all READY pods that have no connection, takes over what they say, and
// finishes what was half made or half removed in them. One that does not answer leaves its
// containers UNKNOWN until the next time; one that is gone loses its pod. In parallel, bounded.
void AdoptPods(Pods& pods, Deadline deadline);

}  // namespace catamaran

#pragma once

#include "cri/pods/pods.h"

namespace catamaran {

// The hooks that are run when containers are gone (poststop), of a pod whose shim was killed before
// it could: after EndShim, by a program that has no threads. Each is run once, however often this
// is called; where the deadline comes first, again by the next call. What fails is noticed and
// keeps nothing from its end. Costs nothing where nothing is left.
void RunLeftHooks(Pods& pods, Pod& pod, Deadline deadline);

}  // namespace catamaran

#pragma once

#include <vector>

#include "cri/pods/pods.h"

namespace catamaran {

// Takes over what a shim says of its containers: where a record differs, the shim wins. A
// container that the shim does not know has ended, how is unknown. Returns those that no record
// owns, to be removed. Takes pod.mutex.
std::vector<ContainerId> Reconcile(Pods& pods, Pod& pod, const pod::ListResponse& list);

}  // namespace catamaran

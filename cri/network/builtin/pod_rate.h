#pragma once

#include <string>

#include "cri/network/pod_bandwidth.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Keeps a connected pod to its rates, on the machine, where nothing in the pod can undo it: what it
// receives waits at `host_link`, the machine's end of its pair, what it sends at `sent_link`, a
// link of kind ifb that is made for it (a queue can hold back only what leaves, and this makes what
// arrives from the pod leave once). kFailedPrecondition, naming the annotation, where the kernel
// lacks what it takes. Undone by deleting both links.
Status LimitPod(const std::string& host_link, const std::string& sent_link,
                const PodBandwidth& limits, uint32_t mtu);

}  // namespace catamaran

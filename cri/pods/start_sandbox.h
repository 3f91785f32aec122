#pragma once

#include <memory>

#include "cri/pods/pods.h"
#include "cri/pods/timeline.h"

namespace catamaran {

// Starts the pod's shim and its sandbox, which is in the table with its record and its network.
// Where it comes from the pool (it has a shim) that is a claim; if that fails the pod starts as any
// other, and `pod` is then another object for the same pod: what the lost shim still says is not
// its business.
Result<pod::CreateSandboxResponse> StartSandbox(Pods& pods, std::shared_ptr<Pod>& pod,
                                                const HandlerConfig& handler,
                                                const spec::SandboxSpec& sandbox,
                                                const CallContext& call, Timeline& timeline);

}  // namespace catamaran

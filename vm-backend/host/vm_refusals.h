#pragma once

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// The one list of what a pod in a VM cannot have, with the message each gives (kUnimplemented, or
// kFailedPrecondition where the pod contradicts itself). Everything else works as on the
// namespaces hull or fails where it is done.
Status RefuseSandbox(const spec::SandboxSpec& sandbox);
Status RefuseContainer(const spec::ContainerSpec& container);
// Limits above what the machine was made with for this sandbox (kFailedPrecondition).
Status RefuseResize(const spec::SandboxSpec& sandbox, const spec::Resources& resources);

}  // namespace catamaran

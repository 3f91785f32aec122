#pragma once

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// A tap in the pod's network namespace whose frames go to and come from the pod's interface, which
// keeps the addresses that the guest gets: the pod's own stack never sees a frame again. Invalid
// where the pod has no network.
Result<UniqueFd> MakePodTap(const spec::SandboxSpec& sandbox);

// A tap whose pod is not known yet: in a network namespace of its own, which nobody else can find
// and which ends with these descriptors.
struct WaitingTap {
  UniqueFd tap;
  UniqueFd netns;
};
Result<WaitingTap> MakeWaitingTap();
// Moves it to the pod and joins it to the pod's interface. Whoever has the tap open goes on with
// it.
Status GiveTapToPod(const UniqueFd& netns, const spec::SandboxSpec& sandbox);

}  // namespace catamaran

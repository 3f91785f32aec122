#pragma once

#include "cri/pods/pods.h"

namespace catamaran {

// One pod's usage as its shim reads it now, with the rates since the last reading. kNotFound never:
// a pod that is not READY gives empty statistics.
Result<spec::SandboxStats> ReadStats(Pods& pods, const std::shared_ptr<Pod>& pod,
                                     const CallContext& call);

// Asks the shims of all these pods at once; afterwards each pod's usage.last is what its shim said
// last, and empty where the pod is not ready. Returns when all have answered or the time is over. A
// shim that still owes an answer after kStatsLimit is not waited for again before it has given it.
void RefreshStats(const std::vector<std::shared_ptr<Pod>>& pods, const CallContext& call);

// As the CRI shows them. Callers hold the pod's mutex. `stats` may lack the container (it does not
// run): only its attributes are given then.
::runtime::v1::ContainerStats ContainerStatsOf(const Pods& pods, Container& container,
                                               const spec::SandboxStats& stats);
::runtime::v1::PodSandboxStats SandboxStatsOf(const Pods& pods, Pod& pod,
                                              const spec::SandboxStats& stats);

// How long a list waits for a shim, once: one that does not answer is shown as it was before.
inline constexpr std::chrono::seconds kStatsLimit{10};

}  // namespace catamaran

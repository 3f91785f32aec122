#pragma once

#include "cri/pods/pods.h"

namespace catamaran {

// One pod's usage as its shim reads it now, with the rates since the last reading. kNotFound never:
// a pod that is not READY gives empty statistics. Not for details.
Result<spec::SandboxStats> ReadStats(Pods& pods, const std::shared_ptr<Pod>& pod,
                                     pod::StatsRequest::Extent extent, const CallContext& call);

// Asks the shims of all these pods at once; afterwards each pod's usage[extent].last is what its
// shim said last, and empty where the pod is not ready. Returns when all have answered or the time
// is over. A shim that still owes an answer after kStatsLimit is not waited for again before it has
// given it.
void RefreshStats(const std::vector<std::shared_ptr<Pod>>& pods, pod::StatsRequest::Extent extent,
                  const CallContext& call);
// The same for details, by pod id: of those pods that are ready and whose shims have answered.
std::map<std::string, std::shared_ptr<const spec::SandboxStats>> ReadDetails(
    const std::vector<std::shared_ptr<Pod>>& pods, const CallContext& call);

// As the CRI shows them. A field that is left unset is one that nobody knows:
//
//   CpuUsage.usage_nano_cores: of the first reading, a rate takes two (a second apart, at least).
//   CpuUsage.psi, MemoryUsage.psi, IoUsage.psi: of a kernel that does not account for pressure;
//   `full`
//     of the CPU before Linux 5.13.
//   MemoryUsage.available_bytes, SwapUsage.swap_available_bytes: there is no limit to be below.
//   cpu, memory, writable_layer, swap, io of a container: it has no process.
//   PodSandboxStats.linux: the sandbox is not ready. *.windows, Windows*: pods are Linux only.
//
// Of a pod in a virtual machine cpu, memory and io are what it costs the node, the machine
// included; network and containers are as the guest counts them. Callers hold the pod's mutex.
// `stats` may lack the container (it does not run): only its attributes are given then.
::runtime::v1::ContainerStats ContainerStatsOf(const Pods& pods, Container& container,
                                               const spec::SandboxStats& stats);
::runtime::v1::PodSandboxStats SandboxStatsOf(const Pods& pods, Pod& pod,
                                              const spec::SandboxStats& stats);

// How long a list waits for a shim, once: one that does not answer is shown as it was before.
inline constexpr std::chrono::seconds kStatsLimit{10};

}  // namespace catamaran

#pragma once

#include <cstdint>

#include "cri/config/config.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

// Names of these lines, by which they are mended (fix_plan.h).
inline constexpr char kForwardingLine[] = "ip forwarding";
inline constexpr char kBridgeFilterLine[] = "bridge filter";
inline constexpr char kInotifyLine[] = "inotify limits";

// Of root, whom all containers without a user namespace are: a node of a hundred pods needs more
// than a kernel gives by itself (128 instances).
inline constexpr uint64_t kLeastInotifyInstances = 512;
inline constexpr uint64_t kLeastInotifyWatches = 65536;

// Settings of the kernel that pods run without, but not well; those of the network where a network
// add-on makes it: the built-in one sets its own.
void ProbeSysctls(const Config& config, const ProbeRunner& run);

}  // namespace catamaran

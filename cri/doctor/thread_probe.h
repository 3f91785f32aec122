#pragma once

#include <chrono>

#include "sandbox/probes/probe.h"

namespace catamaran {

// RunProbe for a process that has threads and never forks: the probe runs in a thread of its own,
// which may change its namespaces. One that does not end in time (a hung disk) is left behind, with
// all that `probe` holds: what it refers to must be its own.
Finding RunProbeInThread(const Probe& probe, std::chrono::milliseconds patience);

// Whether a thread was left behind: the process can then only _exit(2).
bool ProbeThreadsLeft();

}  // namespace catamaran

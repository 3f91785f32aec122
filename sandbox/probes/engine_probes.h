#pragma once

#include <string>

#include "sandbox/probes/probe.h"

namespace catamaran {

// The engine's questions to this host. Each function runs its probes one after another, for a
// program with one thread that does nothing else. Nothing stays behind.

// What every hull stands on: processes, namespaces, cgroups. `cgroup` is the path of a group to try
// limits in; it does not exist and is below the one that pods get theirs in.
void ProbeProcesses(const ProbeRunner& run);
void ProbeCgroups(const std::string& cgroup, const ProbeRunner& run);

// What containers on this kernel need. `scratch` is an absolute path of a folder where images are
// kept that holds the image of probe_layer.h; the caller removes it.
void ProbeMounts(const ProbeRunner& run);
void ProbeRootfs(const std::string& scratch, const ProbeRunner& run);
void ProbeConfinement(const ProbeRunner& run);

}  // namespace catamaran

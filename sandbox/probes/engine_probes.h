#pragma once

#include <functional>
#include <string>

#include "sandbox/probes/finding.h"

namespace catamaran {

// The engine's questions to this host. Each function runs its probes one after another, a child
// each, and hands every finding over as it comes. For a program with one thread that does nothing
// else. Nothing stays behind.
using FindingSink = std::function<void(Finding)>;

// What every hull stands on: processes, namespaces, cgroups. `cgroup` is the path of a group to try
// limits in; it does not exist and is below the one that pods get theirs in.
void ProbeProcesses(const FindingSink& sink);
void ProbeCgroups(const std::string& cgroup, const FindingSink& sink);

// What containers on this kernel need. `scratch` is an absolute path of a folder where images are
// kept that holds the image of probe_layer.h; the caller removes it.
void ProbeMounts(const FindingSink& sink);
void ProbeRootfs(const std::string& scratch, const FindingSink& sink);
void ProbeConfinement(const FindingSink& sink);

}  // namespace catamaran

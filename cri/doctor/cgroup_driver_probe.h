#pragma once

#include "cri/config/config.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

// Whether pods' groups can be made by the configured cgroup_driver: with systemd, that it answers.
// Nothing is said of cgroupfs, which needs what every other line on control groups needs.
void ProbeCgroupDriver(const Config& config, const ProbeRunner& run);

}  // namespace catamaran

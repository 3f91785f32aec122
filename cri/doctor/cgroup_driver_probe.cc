#include "cri/doctor/cgroup_driver_probe.h"

#include "cri/cgroups/systemd_bus.h"

namespace catamaran {
namespace {

// Less than the runner's patience.
constexpr std::chrono::seconds kPatience(5);

Result<Finding> TrySystemd() {
  ASSIGN_OR_RETURN(const auto tree, CgroupTree::Open());
  RETURN_IF_ERROR(CheckSystemdDriver(*tree, Deadline::After(kPatience)));
  return Works("systemd answers on the system's D-Bus and means the same processes");
}

}  // namespace

void ProbeCgroupDriver(const Config& config, const ProbeRunner& run) {
  if (config.cgroup_driver != CgroupDriver::kSystemd) return;
  run({.name = "systemd",
       .failure = FindingStatus::kMissing,
       .meaning = "the daemon does not start: cgroup_driver is systemd",
       .remedy = "start dbus.service on a machine whose process 1 is systemd, with cgroup v2; or "
                 "cgroup_driver: cgroupfs, in the kubelet too",
       .run = TrySystemd});
}

}  // namespace catamaran

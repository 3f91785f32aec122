#include "shim/probe_command.h"

#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/probes/engine_probes.h"
#include "shim/client/probe_flags.h"
#include "vm-backend/probes/vm_probes.h"

namespace catamaran {

Status RunProbeCommand(int argc, char** argv) {
  ASSIGN_OR_RETURN(const ProbeFlags flags, ProbeFlags::Parse({argv + 2, argv + argc}));
  const ProbeRunner run = [&flags](const Probe& probe) {
    Finding finding = RunProbe(probe, std::chrono::seconds(flags.patience_seconds));
    (void)WriteAll(STDOUT_FILENO, FindingToLine(finding));
    return finding;
  };
  switch (flags.of) {
    case ProbeFlags::Of::kHost:
      ProbeProcesses(run);
      ProbeCgroups(flags.cgroup, run);
      break;
    case ProbeFlags::Of::kNamespaces:
      ProbeMounts(run);
      ProbeRootfs(flags.scratch, run);
      ProbeConfinement(run);
      break;
    case ProbeFlags::Of::kVm:
      ProbeVm(flags.machine, run);
      break;
  }
  return {};
}

}  // namespace catamaran

#include "shim/probe_command.h"

#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/probes/engine_probes.h"
#include "shim/client/probe_flags.h"
#include "vm-backend/probes/vm_probes.h"

namespace catamaran {
namespace {

void Print(const Finding& finding) { (void)WriteAll(STDOUT_FILENO, FindingToLine(finding)); }

}  // namespace

Status RunProbeCommand(int argc, char** argv) {
  ASSIGN_OR_RETURN(const ProbeFlags flags, ProbeFlags::Parse({argv + 2, argv + argc}));
  switch (flags.of) {
    case ProbeFlags::Of::kHost:
      ProbeProcesses(Print);
      ProbeCgroups(flags.cgroup, Print);
      break;
    case ProbeFlags::Of::kNamespaces:
      ProbeMounts(Print);
      ProbeRootfs(flags.scratch, Print);
      ProbeConfinement(Print);
      break;
    case ProbeFlags::Of::kVm:
      ProbeVm(flags.machine, Print);
      break;
  }
  return {};
}

}  // namespace catamaran

#pragma once

#include <string_view>

namespace catamaran {

// Fault injection for the survival tests. Every function that persists a record or makes (or
// removes) a kernel object calls AbortStep() right after having done so. A process started with
// CATAMARAN_ABORT_AT="<program>:<N>" in its environment kills itself with SIGKILL at its N-th step;
// tests run an operation for N = 1, 2, ... until it completes. Without the variable a step costs
// one comparison.
//
// InitAbortSteps(program) is called once by main, before any step; program is "daemon", "shim",
// "agent" or "volumes". Thread-safe afterwards.
void InitAbortSteps(std::string_view program);
void ArmAbortStep(
    long step);  // for the agent, which has no environment: from the kernel's command line
void AbortStep();

}  // namespace catamaran

#pragma once

#include <string_view>

namespace catamaran {

// Fault injection for the survival tests. Every function that persists a record or makes (or
// removes) a kernel object calls AbortStep() right after having done so. A process started with
// CATAMARAN_ABORT_AT="<program>:<N>" in its environment kills itself with SIGKILL at its N-th step;
// tests run an operation for N = 1, 2, ... until it completes. Without the variable a step costs
// one comparison.
//
// InitAbortSteps(program) is called once by main, before any step, or in a child that is a program
// of its own; program is "daemon", "shim", "agent", "volumes" (a pod's volume server),
// "volumes-out" or "volumes-in" (the guest's pump). Of those that are started anew only the first
// one counts. Thread-safe afterwards. In a guest the kernel makes the variable of its command line.
void InitAbortSteps(std::string_view program);
void ArmAbortStep(long step);  // 0: never
void AbortStep();

}  // namespace catamaran

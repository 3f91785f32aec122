#include "sandbox/base/abort_step.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace catamaran {
namespace {
// Steps left until the process kills itself; 0 or less: never.
std::atomic<long> steps_left{0};
}  // namespace

void InitAbortSteps(std::string_view program) {
  const char* value = getenv("CATAMARAN_ABORT_AT");
  if (value == nullptr) return;
  const std::string_view text(value);
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || text.substr(0, colon) != program) return;
  ArmAbortStep(atol(std::string(text.substr(colon + 1)).c_str()));
}

void ArmAbortStep(long step) { steps_left = step; }

void AbortStep() {
  if (steps_left.load(std::memory_order_relaxed) <= 0) return;
  if (steps_left.fetch_sub(1) != 1) return;
  kill(getpid(), SIGKILL);
  // The first process of a pid namespace cannot kill itself, pid_namespaces(7).
  _exit(128 + SIGKILL);
}

}  // namespace catamaran

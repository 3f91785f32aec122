#include "cri/pods/left_hooks.h"

#include <fcntl.h>

#include "cri/base/program_run.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// What a pod's end waits for them at the most: a stop is to end in time. The program ends hooks
// itself, with all that they started; where it does not it is killed a little later.
constexpr std::chrono::seconds kLimit{8}, kGrace{2};

Result<std::string> Run(const HostPath& shim, const std::string& state_directory,
                        std::chrono::seconds limit) {
  ASSIGN_OR_RETURN(const auto program, OpenFile(shim.value(), O_RDONLY));
  ProgramRun run;
  run.args = {"catamaran-shim", "left-hooks", state_directory, std::to_string(limit.count())};
  ASSIGN_OR_RETURN(const ProgramEnd end, RunProgram(program, run, Deadline::After(limit + kGrace)));
  if (end.exit_code != 0)
    return Fail(ErrorCode::kInternal, "it ended with {}: {}", end.exit_code, end.diagnostics);
  return end.output;
}

}  // namespace

void RunLeftHooks(Pods& pods, Pod& pod, Deadline deadline) {
  std::string state_directory;
  {
    std::lock_guard lock(pod.mutex);
    state_directory = pod.record.sandbox().state_directory();
  }
  // The engine's: a bundle is there for as long as its container's hooks are still to be run.
  const auto bundles = ListDirectory(state_directory + "/bundles");
  if (state_directory.empty() || !bundles || bundles->empty()) return;
  const auto limit = std::chrono::ceil<std::chrono::seconds>(
      deadline.Earlier(Deadline::After(kLimit)).Remaining());
  auto failed = Run(pods.config().shim, state_directory, std::max(limit, std::chrono::seconds(1)));
  const std::string what = failed ? *failed : failed.error().message;
  if (!what.empty()) pods.Notice({.pod = pod.id.value()}, "its hooks: " + what);
}

}  // namespace catamaran

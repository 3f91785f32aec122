#include "cri/install/host_systemd.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sched.h>

#include "cri/base/program_run.h"
#include "cri/base/text.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// A start waits for the daemon to find its pods again.
constexpr auto kPatience = std::chrono::minutes(3);
constexpr size_t kMostWords = 2000;

Status EnterNode() {
  ASSIGN_OR_RETURN(const UniqueFd node, OpenFile("/proc/1/ns/mnt", O_RDONLY));
  if (setns(node.get(), CLONE_NEWNS) != 0)
    return FailWithErrno("enter the node's mount namespace (a privileged container with hostPID)");
  return {};
}

}  // namespace

bool HostSystemd::Runs(const NodePlaces& places) {
  return Exists(places.On("/run/systemd/system").value());
}

Result<HostSystemd> HostSystemd::Enter(const NodePlaces& places) {
  if (places.host.string() != "/") RETURN_IF_ERROR(EnterNode());
  for (const char* file : {"/usr/bin/systemctl", "/bin/systemctl"})
    if (auto program = OpenFile(file, O_RDONLY)) return HostSystemd(std::move(*program));
  return Fail(ErrorCode::kFailedPrecondition,
              "systemd runs on the node, but there is no systemctl{}",
              places.host.string() == "/" ? "" : ": process 1 is not the node's (hostPID: true)");
}

Status HostSystemd::Control(std::vector<std::string> words) const {
  words.insert(words.begin(), "systemctl");
  ASSIGN_OR_RETURN(const auto end,
                   RunProgram(systemctl_, {.args = words}, Deadline::After(kPatience)));
  if (end.exit_code == 0) return {};
  return Fail(ErrorCode::kInternal, "{}: {}", fmt::join(words, " "),
              OneLine(end.diagnostics + end.output, kMostWords));
}

}  // namespace catamaran

#include "cri/doctor/shim_probes.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"
#include "shim/client/shim_spawn.h"

namespace catamaran {
namespace {

constexpr char kName[] = "shim program";
constexpr char kNoPod[] = "no pod starts";
// Beyond a probe's own: to be killed in, and to clean up.
constexpr auto kMorePatience = std::chrono::seconds(10);
constexpr size_t kMostOutput = 1 << 20;

Finding Silent(std::string seen) {
  return {kName, FindingStatus::kMissing, std::move(seen), kNoPod,
          "install catamaran and catamaran-shim of one version"};
}

// Takes whole lines off the front of `text`.
void TakeLines(std::string& text, std::vector<Finding>& findings) {
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
    auto finding = FindingFromLine(std::string_view(text).substr(0, end));
    findings.push_back(finding ? std::move(*finding) : Silent(finding.error().message));
    text.erase(0, end + 1);
  }
}

// True at the end of the output, false where none came in time or too much.
bool ReadFindings(int fd, std::chrono::milliseconds patience, std::vector<Finding>& findings) {
  std::string text;
  size_t total = 0;
  while (total < kMostOutput) {
    pollfd readable{fd, POLLIN, 0};
    const int ready = poll(&readable, 1, static_cast<int>(patience.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    char buffer[16384];
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    text.append(buffer, count);
    total += count;
    TakeLines(text, findings);
  }
  return false;
}

}  // namespace

UniqueFd OpenShimProgram(const HostPath& path, const ProbeRunner& run) {
  auto fd = std::make_shared<UniqueFd>();
  const Finding finding = run(
      {.name = kName,
       .meaning = kNoPod,
       .remedy = fmt::format(
           "install catamaran-shim at {}, or name it as shim in the configuration", path.string()),
       .run = [fd, path]() -> Result<Finding> {
         ASSIGN_OR_RETURN(*fd, OpenProgramForShims(path.string()));
         std::error_code error;
         const auto target =
             std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd->get()), error);
         struct stat status;
         if (error || fstat(fd->get(), &status) != 0) return FailWithErrno("stat the program");
         if (target.string().starts_with("/memfd:"))
           return Works(fmt::format("{}: a sealed copy in memory of {:.1f} MB", path.string(),
                                    static_cast<double>(status.st_size) / 1e6));
         return Finding{"", FindingStatus::kDegraded,
                        path.string() + ": run from its file, memory cannot be executed",
                        "pods run; what keeps a container from the program is its file's mount",
                        "sysctl -w vm.memfd_noexec=1"};
       }});
  // A thread that was left behind still has it.
  return finding.status == FindingStatus::kMissing ? UniqueFd() : std::move(*fd);
}

std::vector<Finding> RunShimProbes(const UniqueFd& program, const ProbeFlags& flags) {
  if (!program.valid()) return {};
  std::vector<std::string> arguments = {"catamaran-shim", "probe"};
  for (auto& argument : flags.ToArguments()) arguments.push_back(std::move(argument));
  auto pipe = MakePipe();
  if (!pipe) return {Silent(pipe.error().message)};
  auto process = SpawnProgram(program, arguments, {{pipe->write_end.get(), STDOUT_FILENO}},
                              {.environment = {}, .own_process_group = true});
  if (!process) return {Silent(process.error().message)};
  pipe->write_end.Reset();
  std::vector<Finding> findings;
  const bool ended = ReadFindings(
      pipe->read_end.get(), std::chrono::seconds(flags.patience_seconds) + kMorePatience, findings);
  kill(-process->pid, SIGKILL);  // ours until it is reaped below
  int status = 0;
  while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) findings.push_back(Silent("catamaran-shim probe does not go on"));
  if (findings.empty())
    findings.push_back(
        Silent(fmt::format("catamaran-shim probe says nothing (status {:#x})", status)));
  return findings;
}

}  // namespace catamaran

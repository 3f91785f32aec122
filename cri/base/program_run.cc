#include "cri/base/program_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "shim/client/shim_spawn.h"

namespace catamaran {
namespace {

constexpr int kInheritedFd = kShimProgramFd + 1;
// How often a program that still runs is asked whether somebody stopped it.
constexpr std::chrono::milliseconds kStopInterval{1000};

Result<UniqueFd> MemoryFile(std::string_view content) {
  UniqueFd file(memfd_create("program-input", MFD_CLOEXEC));
  if (!file.valid()) return FailWithErrno("memfd_create");
  RETURN_IF_ERROR(WriteAll(file.get(), content));
  if (lseek(file.get(), 0, SEEK_SET) != 0) return FailWithErrno("lseek");
  return file;
}

// What a stream has to say right now. Closes it at its end. False: more than the limit came, and
// the rest was dropped.
bool ReadAvailable(UniqueFd& stream, size_t limit, std::string* text) {
  char buffer[16384];
  while (stream.valid()) {
    const ssize_t count = read(stream.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) {
      stream.Reset();
      return true;
    }
    const size_t kept = std::min<size_t>(count, limit - text->size());
    text->append(buffer, kept);
    if (kept < static_cast<size_t>(count)) return false;
  }
  return true;
}

// A process that runs; killed with its group and reaped when destroyed, unless it ended before.
class RunningProgram {
 public:
  RunningProgram(SpawnedProcess process, UniqueFd output, UniqueFd diagnostics)
      : process_(std::move(process)),
        output_(std::move(output)),
        diagnostics_(std::move(diagnostics)) {}
  RunningProgram(const RunningProgram&) = delete;
  ~RunningProgram() {
    if (process_.pid == 0) return;
    kill(-process_.pid, SIGKILL);  // its number is ours until it is reaped
    Reap();
  }

  Result<ProgramEnd> Wait(const std::string& name, Deadline deadline) {
    ProgramEnd end;
    while (true) {
      pollfd events[] = {{process_.pidfd.get(), POLLIN, 0},
                         {output_.get(), POLLIN, 0},  // -1 once closed: ignored
                         {diagnostics_.get(), POLLIN, 0}};
      const auto patience = std::min(deadline.Remaining(), kStopInterval);
      if (poll(events, 3, static_cast<int>(patience.count())) < 0 && errno != EINTR)
        return FailWithErrno("poll");
      if (!ReadAvailable(output_, kMostProgramOutput, &end.output))
        return Fail(ErrorCode::kResourceExhausted, "{} printed more than {} bytes", name,
                    kMostProgramOutput);
      (void)ReadAvailable(diagnostics_, kMostProgramDiagnostics, &end.diagnostics);
      if (events[0].revents != 0) break;
      if (deadline.expired())
        return Fail(ErrorCode::kDeadlineExceeded, "{} did not end in time and was killed", name);
      if (IsStopped())
        return Fail(ErrorCode::kDeadlineExceeded, "{} was stopped by a signal and was killed",
                    name);
    }
    // What it wrote before its end is in the pipes; a child of its that keeps them open is not
    // waited for.
    if (!ReadAvailable(output_, kMostProgramOutput, &end.output))
      return Fail(ErrorCode::kResourceExhausted, "{} printed more than {} bytes", name,
                  kMostProgramOutput);
    (void)ReadAvailable(diagnostics_, kMostProgramDiagnostics, &end.diagnostics);
    const int status = Reap();
    end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return end;
  }

 private:
  bool IsStopped() const {
    siginfo_t info{};
    return waitid(P_PID, process_.pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
  }
  int Reap() {
    int status = 0;
    while (waitpid(process_.pid, &status, 0) < 0 && errno == EINTR) {
    }
    process_.pid = 0;
    return status;
  }

  SpawnedProcess process_;
  UniqueFd output_, diagnostics_;
};

}  // namespace

Result<ProgramEnd> RunProgram(const UniqueFd& program, const ProgramRun& run, Deadline deadline) {
  ASSIGN_OR_RETURN(const auto input, MemoryFile(run.input));
  ASSIGN_OR_RETURN(Pipe output, MakePipe());
  ASSIGN_OR_RETURN(Pipe diagnostics, MakePipe());
  RETURN_IF_ERROR(SetNonBlocking(output.read_end.get()));
  RETURN_IF_ERROR(SetNonBlocking(diagnostics.read_end.get()));
  std::vector<std::pair<int, int>> descriptors = {{input.get(), STDIN_FILENO},
                                                  {output.write_end.get(), STDOUT_FILENO},
                                                  {diagnostics.write_end.get(), STDERR_FILENO}};
  if (run.inherited_fd >= 0) descriptors.emplace_back(run.inherited_fd, kInheritedFd);
  ASSIGN_OR_RETURN(auto process,
                   SpawnProgram(program, run.args, descriptors,
                                {.environment = run.environment, .own_process_group = true}));
  RunningProgram running(std::move(process), std::move(output.read_end),
                         std::move(diagnostics.read_end));
  AbortStep();
  output.write_end.Reset();
  diagnostics.write_end.Reset();
  auto end = running.Wait(run.args[0], deadline);
  AbortStep();
  return end;
}

}  // namespace catamaran

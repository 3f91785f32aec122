#include "sandbox/probes/probe.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLongestLine = 64 << 10;
constexpr auto kKillPatience = std::chrono::seconds(1);

[[noreturn]] void RunChild(const Probe& probe, int write_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpgid(0, 0);
  auto outcome = probe.run();
  Finding finding = outcome ? std::move(*outcome) : FailedProbe(probe, outcome.error());
  if (finding.name.empty()) finding.name = probe.name;
  _exit(WriteAll(write_fd, FindingToLine(finding)) ? 0 : 1);
}

// The child's line, as far as it came; kDeadlineExceeded where it stays silent.
Result<std::string> ReadLine(int fd, Deadline deadline) {
  std::string line;
  char buffer[4096];
  while (line.size() < kLongestLine) {
    pollfd readable{fd, POLLIN, 0};
    const int ready = poll(&readable, 1, static_cast<int>(deadline.Remaining().count()));
    if (ready == 0) return Fail(ErrorCode::kDeadlineExceeded, "no answer");
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return line;
    line.append(buffer, count);
    if (line.back() == '\n') return line;
  }
  return line;
}

// How the child ended; 0 where it did not, SIGKILL notwithstanding.
int EndOf(pid_t child) {
  const Deadline deadline = Deadline::After(kKillPatience);
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (ended < 0 || deadline.expired()) return 0;
    usleep(1000);
  }
}

}  // namespace

Finding FailedProbe(const Probe& probe, const Error& error) {
  std::string remedy = probe.remedy;
  if (error.code == ErrorCode::kDeadlineExceeded)
    remedy =
        "ask again, as first uses load the kernel's modules; where the machine is slow with "
        "--patience 30" +
        (remedy.empty() ? "" : "; else " + remedy);
  return {probe.name, probe.failure, error.message, probe.meaning, std::move(remedy)};
}

Finding Works(std::string seen) { return {"", FindingStatus::kOk, std::move(seen), "", ""}; }

int ErrnoOfChild(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child < 0) return errno;
  if (child == 0) _exit(work());
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

Finding RunProbe(const Probe& probe, std::chrono::milliseconds patience) {
  auto pipe = MakePipe();
  if (!pipe) return FailedProbe(probe, pipe.error());
  // fork(2), not clone3(2): that is among what is probed.
  const pid_t child = fork();
  if (child < 0) return FailedProbe(probe, FailWithErrno("fork").value());
  if (child == 0) RunChild(probe, pipe->write_end.get());
  pipe->write_end.Reset();
  const auto line = ReadLine(pipe->read_end.get(), Deadline::After(patience));
  // It has said all it had to say. With it goes what it started and left, its process group; the
  // number is its own until it is reaped.
  kill(child, SIGKILL);
  kill(-child, SIGKILL);
  const int end = EndOf(child);
  if (probe.clean_up) probe.clean_up();
  if (!line)
    return FailedProbe(
        probe, Fail(ErrorCode::kDeadlineExceeded, "no answer within {} s", patience.count() / 1000)
                   .value());
  if (line->empty())
    return FailedProbe(probe,
                       Fail(ErrorCode::kInternal, "the probe died (exit code {})", end).value());
  auto finding = FindingFromLine(*line);
  return finding ? std::move(*finding) : FailedProbe(probe, finding.error());
}

}  // namespace catamaran

#include "sandbox/container/hook_run.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/process.h"

namespace catamaran {
namespace {

constexpr size_t kMostOutput = 1024;
constexpr int kCannotExecute = 127;

std::vector<char*> Pointers(const google::protobuf::RepeatedPtrField<std::string>& strings) {
  std::vector<char*> pointers;
  for (const auto& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  return pointers;
}

// A file and no pipe: whatever its size nobody waits for a hook that does not read.
Result<UniqueFd> InputOf(const std::string& state) {
  UniqueFd input(memfd_create("hook-state", MFD_CLOEXEC));
  if (!input.valid()) return FailWithErrno("memfd for the hook's state");
  RETURN_IF_ERROR(WriteAll(input.get(), state));
  if (lseek(input.get(), 0, SEEK_SET) != 0) return FailWithErrno("rewind the hook's state");
  return input;
}

[[noreturn]] void BecomeHook(const spec::Hook& hook, int input_fd, int output_fd) {
  setsid();
  for (int number = 1; number <= SIGRTMAX; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  auto arguments = Pointers(hook.args());
  if (arguments.empty()) arguments.push_back(const_cast<char*>(hook.path().c_str()));
  arguments.push_back(nullptr);
  auto environment = Pointers(hook.env());
  environment.push_back(nullptr);
  if (dup2(input_fd, 0) != 0 || dup2(output_fd, 1) != 1 || dup2(output_fd, 2) != 2)
    _exit(kCannotExecute);
  CloseDescriptorsExcept({0, 1, 2});
  execve(hook.path().c_str(), arguments.data(), environment.data());
  dprintf(2, "cannot be executed: %s", strerror(errno));
  _exit(kCannotExecute);
}

// fork(2) and not clone3(2), which the default seccomp profile knows nothing of.
Result<pid_t> Fork(const spec::Hook& hook, int input_fd, int output_fd) {
  ASSIGN_OR_RETURN(auto parent, OpenOwnPidfd());
  const pid_t pid = fork();
  if (pid < 0) return FailWithErrno("fork");
  if (pid > 0) return pid;
  ArmAbortStep(0);
  DieWithParent(parent.get());
  BecomeHook(hook, input_fd, output_fd);
}

// Reads what there is; beyond the first kMostOutput bytes it is dropped. False at its end.
bool Read(int fd, std::string& output) {
  char buffer[4096];
  while (true) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN;
    if (count == 0) return false;
    output.append(buffer, std::min<size_t>(count, kMostOutput - output.size()));
  }
}

std::string Printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

enum class Waited { kEnded, kTooLong };

// Reads along, so that a hook that writes much is not stuck.
Result<Waited> WaitFor(int pidfd, int output_fd, const Deadline& deadline, std::string& output) {
  pollfd states[] = {{pidfd, POLLIN, 0}, {output_fd, POLLIN, 0}};
  while (true) {
    const auto left = deadline.Remaining();
    if (left.count() <= 0) return Waited::kTooLong;
    const int milliseconds = static_cast<int>(std::min<int64_t>(left.count() + 1, 60'000));
    if (poll(states, 2, milliseconds) < 0 && errno != EINTR) return FailWithErrno("poll");
    if (states[1].revents != 0 && !Read(output_fd, output)) states[1].fd = -1;
    if (states[0].revents != 0) return Waited::kEnded;
  }
}

Status Ended(int status, const std::string& output) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  const std::string said = output.empty() ? "" : ": " + Printable(output);
  if (WIFSIGNALED(status))
    return Fail(ErrorCode::kFailedPrecondition, "killed by signal {}{}", WTERMSIG(status), said);
  return Fail(ErrorCode::kFailedPrecondition, "exit status {}{}", WEXITSTATUS(status), said);
}

}  // namespace

Status RunHook(const spec::Hook& hook, const std::string& state) {
  const unsigned seconds =
      hook.timeout_seconds() > 0 ? hook.timeout_seconds() : kDefaultHookTimeoutSeconds;
  ASSIGN_OR_RETURN(auto input, InputOf(state));
  ASSIGN_OR_RETURN(auto output, MakePipe());
  RETURN_IF_ERROR(SetNonBlocking(output.read_end.get()));
  ASSIGN_OR_RETURN(const pid_t pid, Fork(hook, input.get(), output.write_end.get()));
  output.write_end.Reset();
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  std::string written;
  auto waited = pidfd.valid() ? WaitFor(pidfd.get(), output.read_end.get(),
                                        Deadline::After(std::chrono::seconds(seconds)), written)
                              : Result<Waited>(FailWithErrno("pidfd_open"));
  // Its session is its group: what it left behind goes with it, unless it ended well.
  if (!waited || *waited == Waited::kTooLong) {
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  RETURN_IF_ERROR(waited);
  if (*waited == Waited::kTooLong)
    return Fail(ErrorCode::kFailedPrecondition, "did not end within {} s", seconds);
  (void)Read(output.read_end.get(), written);
  return Ended(status, written);
}

}  // namespace catamaran

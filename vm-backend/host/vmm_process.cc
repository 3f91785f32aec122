#include "vm-backend/host/vmm_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "sandbox/base/abort_step.h"

namespace catamaran {
namespace {

constexpr int kExecFailed = 127;
constexpr int kAboveTargets = 64;  // no target has a number this high

// The child's part of passing descriptors: first out of the way of all targets, then to their
// numbers, without the close-on-exec flag.
bool PlaceDescriptors(const VmmCommand& command, int tie) {
  std::vector<VmmCommand::Passed> parked;
  for (const auto& passed : command.descriptors) {
    const int fd = fcntl(passed.fd, F_DUPFD_CLOEXEC, kAboveTargets);
    if (fd < 0) return false;
    parked.push_back({passed.number, fd});
  }
  if (command.output >= 0 && (dup2(command.output, 1) < 0 || dup2(command.output, 2) < 0))
    return false;
  const int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, 0) < 0) return false;
  std::vector<int> kept = {0, 1, 2, tie};
  for (const auto& passed : parked) {
    if (dup2(passed.fd, passed.number) < 0) return false;
    kept.push_back(passed.number);
  }
  CloseDescriptorsExcept(kept);
  return true;
}

int Become(const VmmCommand& command, int parent) {
  const auto fail = [&](const char* doing, const std::string& why) {
    fprintf(stderr, "%s: %s: %s\n", command.arguments[0].c_str(), doing, why.c_str());
    return kExecFailed;
  };
  DieWithParent(parent);
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  // Its number has no meaning to the program, which does not get it.
  const UniqueFd tie(fcntl(parent, F_DUPFD_CLOEXEC, kAboveTargets));
  if (!PlaceDescriptors(command, tie.get())) return fail("pass descriptors", strerror(errno));
  if (command.confinement) {
    if (auto confined = Confine(*command.confinement); !confined)
      return fail("confine", confined.error().message);
    DieWithParent(tie.get());  // again: it became another user
  }
  // Kept over execve(2). Refused by no kernel that has huge pages.
  if (command.small_pages) (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  std::vector<char*> arguments;
  for (const std::string& argument : command.arguments)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  return fail("execute", strerror(errno));
}

}  // namespace

Result<std::unique_ptr<VmmProcess>> VmmProcess::Start(EventLoop& loop, const VmmCommand& command,
                                                      UniqueFunction<void(ProcessEnd)> ended) {
  auto process = std::unique_ptr<VmmProcess>(new VmmProcess);
  ASSIGN_OR_RETURN(const UniqueFd self, OpenOwnPidfd());
  const CloneOptions options{.namespaces = command.confinement ? kVmmNamespaces : 0};
  ASSIGN_OR_RETURN(process->child_, CloneProcess(options, [&command, parent = self.get()] {
                     return Become(command, parent);
                   }));
  AbortStep();
  ASSIGN_OR_RETURN(process->watch_,
                   loop.WatchProcess(process->child_.pidfd.get(),
                                     [raw = process.get(), ended = std::move(ended)]() mutable {
                                       const auto end = ReapChild(raw->child_.pidfd.get());
                                       if (end && !*end) return;
                                       raw->reaped_ = true;
                                       raw->watch_.Cancel();
                                       ended(end ? **end : ProcessEnd{});
                                     }));
  return process;
}

VmmProcess::~VmmProcess() {
  watch_.Cancel();
  if (!reaped_ && child_.pidfd.valid()) (void)KillAndReap(child_.pidfd.get());
}

Status VmmProcess::Kill() {
  if (reaped_) return {};
  return SendSignal(child_.pidfd.get(), SIGKILL);
}

Status VmmProcess::Suspend() { return SendSignal(child_.pidfd.get(), SIGSTOP); }
Status VmmProcess::Resume() { return SendSignal(child_.pidfd.get(), SIGCONT); }

}  // namespace catamaran

#include "vm-backend/host/vmm_process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "sandbox/base/abort_step.h"

namespace catamaran {
namespace {

constexpr int kExecFailed = 127;
constexpr int kAboveTargets = 64;  // no target has a number this high

// The child's part of passing descriptors: first out of the way of all targets, then to their
// numbers, without the close-on-exec flag.
bool PlaceDescriptors(const VmmCommand& command) {
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
  std::vector<int> kept = {0, 1, 2};
  for (const auto& passed : parked) {
    if (dup2(passed.fd, passed.number) < 0) return false;
    kept.push_back(passed.number);
  }
  CloseDescriptorsExcept(kept);
  return true;
}

// With an empty bounding set not even executing a program as root gives any.
bool DropCapabilities() {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  return syscall(SYS_capset, &header, none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

int Become(const VmmCommand& command) {
  const auto fail = [&](const char* doing) {
    fprintf(stderr, "%s: %s: %m\n", command.arguments[0].c_str(), doing);
    return kExecFailed;
  };
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  if (!PlaceDescriptors(command)) return fail("pass descriptors");
  if (command.confined && unshare(CLONE_NEWNET | CLONE_NEWIPC) != 0) return fail("unshare");
  if (command.confined && !DropCapabilities()) return fail("drop capabilities");
  std::vector<char*> arguments;
  for (const std::string& argument : command.arguments)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  return fail("execute");
}

}  // namespace

Result<std::unique_ptr<VmmProcess>> VmmProcess::Start(EventLoop& loop, const VmmCommand& command,
                                                      UniqueFunction<void(ProcessEnd)> ended) {
  auto process = std::unique_ptr<VmmProcess>(new VmmProcess);
  ASSIGN_OR_RETURN(process->child_, CloneProcess({.dies_with_parent = true},
                                                 [&command] { return Become(command); }));
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

}  // namespace catamaran

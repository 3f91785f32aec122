#include "sandbox/kernel/process.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

const char* NamespaceFile(int type) {
  switch (type) {
    case CLONE_NEWNET:
      return "net";
    case CLONE_NEWIPC:
      return "ipc";
    case CLONE_NEWUTS:
      return "uts";
    case CLONE_NEWNS:
      return "mnt";
    case CLONE_NEWCGROUP:
      return "cgroup";
    default:
      return "pid_for_children";
  }
}

ProcessEnd EndOf(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return ProcessEnd{info.si_status, 0};
  return ProcessEnd{128 + info.si_status, info.si_status};
}

constexpr size_t kLongestReport = 64 << 10;

// A child task's report: an error without its text, which follows.
struct ReportHead {
  uint32_t code = 0;  // 0: it worked
  int32_t system_errno = 0;
  ErrorSubject subject = ErrorSubject::kUnnamed;
};

}  // namespace

Result<ChildProcess> CloneProcess(const CloneOptions& options, UniqueFunction<int()> body) {
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = options.namespaces | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (options.cgroup_fd >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(options.cgroup_fd);
  }
  UniqueFd parent;
  if (options.dies_with_parent) {
    ASSIGN_OR_RETURN(parent, OpenOwnPidfd());
  }
  const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0) return FailWithErrno("clone3");
  if (pid == 0) {
    ArmAbortStep(0);
    if (options.dies_with_parent) DieWithParent(parent.get());
    parent.Reset();
    _exit(body());
  }
  return ChildProcess{UniqueFd(pidfd), static_cast<pid_t>(pid)};
}

void DieWithParent(int parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) _exit(1);
  // A process is readable at its pidfd once it has ended.
  pollfd state{parent, POLLIN, 0};
  if (poll(&state, 1, 0) != 0) _exit(1);
}

Result<UniqueFd> OpenOwnPidfd() {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!fd.valid()) return FailWithErrno("pidfd_open");
  return fd;
}

Result<pid_t> PidOf(int pidfd) {
  // pidfd_open(2) and proc_pid_fdinfo(5).
  ASSIGN_OR_RETURN(const std::string info, ReadFile(fmt::format("/proc/self/fdinfo/{}", pidfd)));
  const size_t at = info.find("\nPid:");
  const pid_t pid = at == std::string::npos ? 0 : atoi(info.c_str() + at + strlen("\nPid:"));
  if (pid <= 0) return Fail(ErrorCode::kNotFound, "the process has ended");
  return pid;
}

Result<std::optional<ProcessEnd>> ReapChild(int pidfd) {
  siginfo_t info{};
  if (waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG) != 0)
    return FailWithErrno("waitid");
  if (info.si_pid == 0) return std::nullopt;
  return EndOf(info);
}

Status KillAndReap(int pidfd) {
  RETURN_IF_ERROR(SendSignal(pidfd, SIGKILL));
  siginfo_t info{};
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) != 0) {
    if (errno == ECHILD) return {};
    if (errno != EINTR) return FailWithErrno("waitid");
  }
  return {};
}

Status SendSignal(int pidfd, int signal) {
  if (syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0 && errno != ESRCH)
    return FailWithErrno("pidfd_send_signal {}", signal);
  return {};
}

Result<UniqueFd> OpenOwnNamespace(const char* name) {
  return OpenFile(std::string("/proc/thread-self/ns/") + name, O_RDONLY);
}

Result<ScopedNamespace> ScopedNamespace::Enter(int target, int type) {
  ASSIGN_OR_RETURN(auto own, OpenOwnNamespace(NamespaceFile(type)));
  if (setns(target, type) != 0) return FailWithErrno("setns {}", NamespaceFile(type));
  return ScopedNamespace(std::move(own), type);
}

ScopedNamespace::~ScopedNamespace() {
  // To go on in a foreign namespace would be worse than to stop: the next verb acts there.
  if (own_.valid() && setns(own_.get(), type_) != 0) abort();
}

std::unique_ptr<ChildTask> ChildTask::Start(EventLoop& loop, Work work, Report done) {
  std::unique_ptr<ChildTask> task(new ChildTask(std::move(done)));
  if (auto cloned = task->Clone(loop, std::move(work)); !cloned) {
    loop.Post([raw = task.get(), alive = std::weak_ptr(task->alive_),
               error = std::move(cloned).error()]() mutable {
      if (!alive.expired()) raw->Finish(tl::unexpected(std::move(error)));
    });
  }
  return task;
}

std::unique_ptr<ChildTask> ChildTask::Start(EventLoop& loop, UniqueFunction<Status()> work,
                                            UniqueFunction<void(Status)> done) {
  return Start(loop, Work([work = std::move(work)]() mutable {
                 return work().map([] { return std::string(); });
               }),
               Report([done = std::move(done)](Result<std::string> outcome) mutable {
                 done(std::move(outcome).map([](const std::string&) {}));
               }));
}

Status ChildTask::Clone(EventLoop& loop, Work work) {
  ASSIGN_OR_RETURN(auto pipe, MakePipe());
  RETURN_IF_ERROR(SetNonBlocking(pipe.read_end.get()));
  const int write_fd = pipe.write_end.get();
  ASSIGN_OR_RETURN(child_, CloneProcess({.dies_with_parent = true}, [&work, write_fd] {
                     auto outcome = work();
                     ReportHead head;
                     if (!outcome) {
                       head.code = static_cast<uint32_t>(outcome.error().code);
                       head.system_errno = outcome.error().system_errno;
                       head.subject = outcome.error().subject;
                     }
                     std::string report(reinterpret_cast<const char*>(&head), sizeof head);
                     report += outcome ? *outcome : outcome.error().message;
                     return WriteAll(write_fd, report) ? 0 : 1;
                   }));
  report_fd_ = std::move(pipe.read_end);
  ASSIGN_OR_RETURN(watch_,
                   loop.WatchFd(report_fd_.get(), EPOLLIN, [this](uint32_t) { OnReadable(); }));
  return {};
}

void ChildTask::OnReadable() {
  char buffer[16384];
  const ssize_t count = read(report_fd_.get(), buffer, sizeof buffer);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) {
    received_.append(buffer, count);
    if (received_.size() <= kLongestReport + sizeof(ReportHead)) return;
    return Finish(
        Fail(ErrorCode::kInternal, "a child process reports more than {} bytes", kLongestReport));
  }
  ReportHead head;
  if (received_.size() < sizeof head)
    return Finish(Fail(ErrorCode::kInternal, "a child process ended without a report"));
  std::copy_n(received_.data(), sizeof head, reinterpret_cast<char*>(&head));
  std::string text = received_.substr(sizeof head);
  if (head.code == 0) return Finish(std::move(text));
  Finish(tl::unexpected(
      Error{static_cast<ErrorCode>(head.code), head.system_errno, std::move(text), head.subject}));
}

void ChildTask::Finish(Result<std::string> outcome) {
  watch_.Cancel();
  // Its end of the pipe is closed, or no longer heeded: it is about to end, or has.
  if (child_.pidfd.valid()) KillAndReap(child_.pidfd.get()).map_error([](const Error&) {});
  child_.pidfd.Reset();
  auto done = std::move(done_);
  done(std::move(outcome));
}

ChildTask::~ChildTask() {
  if (child_.pidfd.valid()) KillAndReap(child_.pidfd.get()).map_error([](const Error&) {});
}

}  // namespace catamaran

#include "sandbox/container/process_steps.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sandbox/base/files.h"
#include "sandbox/container/program.h"

namespace catamaran {
namespace {

constexpr std::array<std::pair<const char*, int>, 16> kRlimits = {{
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
}};

Result<__rlimit_resource> FindRlimit(const spec::Rlimit& limit) {
  const auto* found = std::find_if(kRlimits.begin(), kRlimits.end(),
                                   [&](const auto& entry) { return limit.name() == entry.first; });
  if (found == kRlimits.end())
    return Fail(ErrorCode::kInvalidArgument, "process.rlimits \"{}\" is not known", limit.name());
  return static_cast<__rlimit_resource>(found->second);
}

Status SetRlimit(const spec::Rlimit& limit) {
  ASSIGN_OR_RETURN(const auto resource, FindRlimit(limit));
  rlimit wanted{limit.soft(), limit.hard()};
  if (setrlimit(resource, &wanted) == 0) return {};
  if (errno != EPERM) return FailWithErrno("set {}", limit.name());
  // Without CAP_SYS_RESOURCE a limit is not raised: as much as this process has.
  rlimit own;
  if (getrlimit(resource, &own) != 0) return FailWithErrno("read {}", limit.name());
  wanted.rlim_max = std::min(wanted.rlim_max, own.rlim_max);
  wanted.rlim_cur = std::min(wanted.rlim_cur, wanted.rlim_max);
  if (setrlimit(resource, &wanted) != 0) return FailWithErrno("set {}", limit.name());
  return {};
}

bool HasAppArmorProfile(const spec::ProcessSpec& process) {
  return !process.apparmor_profile().empty() && process.apparmor_profile() != "unconfined";
}

Status SetLabels(const spec::ProcessSpec& process, const std::optional<ProcHandle>& given) {
  if (!HasLabels(process)) return {};
  std::optional<ProcHandle> own;
  if (!given) {
    ASSIGN_OR_RETURN(own, ProcHandle::OpenPrivate());
  }
  const ProcHandle& proc = given ? *given : *own;
  if (HasAppArmorProfile(process)) {
    auto set = proc.Write("thread-self/attr/apparmor/exec", "exec " + process.apparmor_profile());
    if (!set)
      return tl::unexpected(std::move(set).error().While(
          fmt::format("process.apparmor_profile \"{}\"", process.apparmor_profile())));
  }
  if (process.selinux_label().empty()) return {};
  auto set = proc.Write("thread-self/attr/exec", process.selinux_label());
  if (!set)
    return tl::unexpected(std::move(set).error().While(
        fmt::format("process.selinux_label \"{}\"", process.selinux_label())));
  return {};
}

// A terminal or pipe belongs to whoever uses it, so that /dev/stdout can be opened again.
Status GiveTo(int fd, uid_t uid, gid_t gid = static_cast<gid_t>(-1)) {
  struct stat status;
  if (fstat(fd, &status) != 0) return FailWithErrno("stat standard stream {}", fd);
  const bool terminal = S_ISCHR(status.st_mode) && isatty(fd) == 1;
  if (uid == status.st_uid || !(S_ISFIFO(status.st_mode) || terminal)) return {};
  if (fchown(fd, uid, gid) != 0 && errno != EPERM && errno != EROFS)
    return FailWithErrno("chown standard stream {}", fd);
  return {};
}

Status BecomeUser(const spec::ProcessSpec& process, const Credentials& credentials) {
  for (const auto& limit : process.rlimits()) RETURN_IF_ERROR(SetRlimit(limit));
  RETURN_IF_ERROR(SetLabels(process, credentials.proc));
  const bool filtered = credentials.seccomp != nullptr && !credentials.seccomp->empty();
  if (process.no_new_privileges() && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return FailWithErrno("set no_new_privs");
  // Without no_new_privs a filter takes CAP_SYS_ADMIN, which is about to go.
  if (filtered && !process.no_new_privileges())
    RETURN_IF_ERROR(InstallSeccomp(*credentials.seccomp));
  RETURN_IF_ERROR(DropBoundingSet(credentials.capabilities));
  RETURN_IF_ERROR(KeepCapabilitiesOverSetuid());
  const auto& ids = credentials.user.ids;
  const std::vector<gid_t> groups(ids.groups().begin(), ids.groups().end());
  if (setgroups(groups.size(), groups.data()) != 0) return FailWithErrno("setgroups");
  if (setresgid(ids.gid(), ids.gid(), ids.gid()) != 0)
    return FailWithErrno("become group {}", ids.gid());
  if (setresuid(ids.uid(), ids.uid(), ids.uid()) != 0)
    return FailWithErrno("become user {}", ids.uid());
  RETURN_IF_ERROR(ApplyCapabilities(credentials.capabilities, credentials.ambient));
  if (filtered && process.no_new_privileges()) return InstallSeccomp(*credentials.seccomp);
  return {};
}

}  // namespace

bool HasLabels(const spec::ProcessSpec& process) {
  return HasAppArmorProfile(process) || !process.selinux_label().empty();
}

Status SetOomScore(const spec::ProcessSpec& process) {
  if (!process.has_oom_score_adj()) return {};
  const int wanted = std::clamp(process.oom_score_adj(), -1000, 1000);
  const char* kPath = "/proc/self/oom_score_adj";
  if (WriteExisting(kPath, std::to_string(wanted))) return {};
  // Lowering takes CAP_SYS_RESOURCE. What this process has itself is the lowest it may give; it
  // is inherited already.
  ASSIGN_OR_RETURN(const std::string own, ReadFile(kPath, 64));
  if (atoi(own.c_str()) >= wanted) return {};
  return Fail(ErrorCode::kPermissionDenied, "process.oom_score_adj {} cannot be set", wanted);
}

void RaiseHardLimits(const spec::ProcessSpec& process) {
  for (const auto& limit : process.rlimits()) {
    const auto resource = FindRlimit(limit);
    rlimit own;
    if (!resource || getrlimit(*resource, &own) != 0 || own.rlim_max >= limit.hard()) continue;
    own.rlim_max = limit.hard();
    setrlimit(*resource, &own);
  }
}

Status GiveStreamsTo(const ProcessStdio& stdio, uid_t uid, gid_t gid) {
  for (const int fd : {stdio.in, stdio.out, stdio.err})
    if (fd >= 0) RETURN_IF_ERROR(GiveTo(fd, uid, gid));
  return {};
}

void BeginSession() {
  for (int number = 1; number <= SIGRTMAX; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_DUMPABLE, 0);
  setsid();
  umask(022);
  // Not inherited from the engine; a kernel without keys, or a full quota, is no reason to fail.
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
}

Status InstallStdio(const ProcessStdio& stdio, int null_fd, uid_t uid) {
  const std::array<int, 3> wanted = {stdio.in, stdio.out, stdio.err};
  // Away from 0..2 first: one of them may be what another is to become.
  std::array<int, 3> moved;
  for (size_t i = 0; i < wanted.size(); ++i) {
    moved[i] = fcntl(wanted[i] >= 0 ? wanted[i] : null_fd, F_DUPFD_CLOEXEC, 3);
    if (moved[i] < 0) return FailWithErrno("duplicate standard stream {}", i);
  }
  for (int i = 0; i < 3; ++i) {
    if (dup2(moved[i], i) < 0) return FailWithErrno("install standard stream {}", i);
    RETURN_IF_ERROR(GiveTo(i, uid));
  }
  return {};
}

Status InstallTerminal(int slave_fd, uid_t uid) {
  if (ioctl(slave_fd, TIOCSCTTY, 0) != 0) return FailWithErrno("make the terminal controlling");
  return InstallStdio({slave_fd, slave_fd, slave_fd}, -1, uid);
}

Error BecomeProgram(const spec::ProcessSpec& process, const Credentials& credentials,
                    const std::function<Status()>& last_step) {
  const ProgramImage image(process, credentials.user.home);
  if (auto done = BecomeUser(process, credentials); !done) return std::move(done).error();
  if (auto done = last_step(); !done) return std::move(done).error();
  return image.Execute();
}

}  // namespace catamaran

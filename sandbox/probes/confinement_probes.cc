// What keeps a container's program in bounds: seccomp and the security modules; and CRIU.
#include <fcntl.h>
#include <fmt/ranges.h>
#include <linux/seccomp.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/container/seccomp.h"
#include "sandbox/kernel/proc_handle.h"
#include "sandbox/kernel/security_modules.h"
#include "sandbox/probes/engine_probes.h"
#include "sandbox/probes/probe.h"

namespace catamaran {
namespace {

Result<Finding> TrySeccomp() {
  spec::SeccompProfile profile;
  profile.set_kind(spec::SeccompProfile::RUNTIME_DEFAULT);
  ASSIGN_OR_RETURN(const auto program, CompileSeccomp(profile, DefaultCapabilities()));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return FailWithErrno("no_new_privs");
  RETURN_IF_ERROR(InstallSeccomp(*program));
  errno = 0;
  if (syscall(SYS_add_key, "user", "catamaran", "", 0, -1) != -1 || errno != EPERM)
    return Fail(ErrorCode::kInternal, "the filter loads but lets add_key through");
  return Works(fmt::format("the default filter ({} instructions) loads and denies add_key",
                           program->filter.size()));
}

struct Action {
  uint32_t number;
  const char* name;  // as profiles write it
};
constexpr Action kActions[] = {{SECCOMP_RET_KILL_PROCESS, "SCMP_ACT_KILL_PROCESS"},
                               {SECCOMP_RET_KILL_THREAD, "SCMP_ACT_KILL"},
                               {SECCOMP_RET_TRAP, "SCMP_ACT_TRAP"},
                               {SECCOMP_RET_ERRNO, "SCMP_ACT_ERRNO"},
                               {SECCOMP_RET_TRACE, "SCMP_ACT_TRACE"},
                               {SECCOMP_RET_LOG, "SCMP_ACT_LOG"},
                               {SECCOMP_RET_ALLOW, "SCMP_ACT_ALLOW"}};

Result<Finding> TryActions() {
  std::vector<std::string> absent;
  for (const auto& [number, name] : kActions)
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &number) != 0) absent.push_back(name);
  if (!absent.empty())
    return Fail(ErrorCode::kFailedPrecondition, "not {}", fmt::join(absent, ", "));
  return Works(fmt::format("all {} that profiles may name", std::size(kActions)));
}

Finding NoModule(const char* field) {
  return {"", FindingStatus::kDegraded, "not on in this kernel",
          fmt::format("pods that ask for {} are refused", field), ""};
}

// Whether a label could be given to the program that this process would execute next.
Result<Finding> TryAppArmor() {
  if (!KernelHasAppArmor()) {
    Finding finding = NoModule("an AppArmor profile");
    finding.remedy = "boot with apparmor=1 security=apparmor, where pods need it";
    return finding;
  }
  ASSIGN_OR_RETURN(const std::string profiles, ReadFile("/sys/kernel/security/apparmor/profiles"));
  ASSIGN_OR_RETURN(const auto proc, ProcHandle::OpenPrivate());
  RETURN_IF_ERROR(proc.Write("thread-self/attr/apparmor/exec", "exec unconfined"));
  return Works(fmt::format("{} profiles loaded, a program can be given one",
                           std::count(profiles.begin(), profiles.end(), '\n')));
}

Result<Finding> TrySelinux() {
  if (!KernelHasSelinux()) {
    Finding finding = NoModule("SELinux options");
    finding.remedy = "boot with selinux=1 security=selinux and a policy, where pods need it";
    return finding;
  }
  ASSIGN_OR_RETURN(const std::string enforcing, ReadFile("/sys/fs/selinux/enforce"));
  ASSIGN_OR_RETURN(std::string own, ReadFile("/proc/thread-self/attr/current", 4096));
  own.resize(std::min(own.size(), own.find('\0')));
  ASSIGN_OR_RETURN(const auto proc, ProcHandle::OpenPrivate());
  RETURN_IF_ERROR(proc.Write("thread-self/attr/exec", own));
  return Works(fmt::format("{}, the daemon is {}",
                           enforcing.starts_with("1") ? "enforcing" : "permissive", own));
}

std::string FindProgram(const char* name) {
  const char* own = getenv("PATH");
  const std::string path = std::string(own != nullptr ? own : "") + ":/usr/sbin:/usr/local/sbin";
  for (size_t start = 0; start < path.size();) {
    const size_t end = std::min(path.find(':', start), path.size());
    const std::string candidate = path.substr(start, end - start) + "/" + name;
    if (end > start && access(candidate.c_str(), X_OK) == 0) return candidate;
    start = end + 1;
  }
  return "";
}

// `criu check` tries what it needs of the kernel.
Result<Finding> TryCriu() {
  const std::string program = FindProgram("criu");
  if (program.empty()) return Fail(ErrorCode::kNotFound, "no criu in PATH or /usr/sbin");
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe.write_end.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, pipe.write_end.get(), 2);
  const char* arguments[] = {"criu", "check", nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), &actions, nullptr,
                                const_cast<char**>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return FailErrno(error, "start " + program);
  pipe.write_end.Reset();
  const std::string said = ReadAll(pipe.read_end.get(), 64 << 10).value_or("");
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return Fail(ErrorCode::kFailedPrecondition, "criu check says: {}",
                said.empty() ? "nothing" : said.substr(0, 300));
  return Works(program + " check passes");
}

}  // namespace

void ProbeConfinement(const ProbeRunner& run) {
  run({.name = "seccomp",
       .meaning = "no container with seccompProfile RuntimeDefault or Localhost starts",
       .remedy = "a kernel with CONFIG_SECCOMP_FILTER",
       .run = TrySeccomp});
  run({.name = "seccomp actions",
       .failure = FindingStatus::kDegraded,
       .meaning = "containers whose Localhost profile names one do not start",
       .remedy = "Linux 5.15 or newer",
       .run = TryActions});
  run({.name = "apparmor",
       .failure = FindingStatus::kDegraded,
       .meaning = "pods that ask for an AppArmor profile fail",
       .remedy = "mount -t securityfs none /sys/kernel/security",
       .run = TryAppArmor});
  run({.name = "selinux",
       .failure = FindingStatus::kDegraded,
       .meaning = "pods that ask for SELinux options fail",
       .remedy = "a policy that lets the daemon set exec labels (container-selinux)",
       .run = TrySelinux});
  run({.name = "criu",
       .failure = FindingStatus::kDegraded,
       .meaning = "containers in namespaces cannot be checkpointed; all else works",
       .remedy = "install criu",
       .run = TryCriu});
}

}  // namespace catamaran

// Processes as the engine starts them: capabilities, clone3, namespaces.
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/ranges.h>

#include "sandbox/base/files.h"
#include "sandbox/container/capabilities.h"
#include "sandbox/kernel/process.h"
#include "sandbox/probes/engine_probes.h"
#include "sandbox/probes/probe.h"

namespace catamaran {
namespace {

// What the engine does on the way of every pod, or to end one.
constexpr int kNeeded[] = {CAP_CHOWN,     CAP_DAC_OVERRIDE, CAP_FOWNER,  CAP_KILL,
                           CAP_SETGID,    CAP_SETUID,       CAP_SETPCAP, CAP_NET_ADMIN,
                           CAP_SYS_ADMIN, CAP_SYS_CHROOT,   CAP_MKNOD};

Result<CapabilitySet> OwnEffectiveSet() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return FailWithErrno("capget");
  return CapabilitySet{data[0].effective | uint64_t{data[1].effective} << 32};
}

Result<Finding> TryCapabilities() {
  ASSIGN_OR_RETURN(const CapabilitySet effective, OwnEffectiveSet());
  ASSIGN_OR_RETURN(const CapabilitySet bounding, OwnBoundingSet());
  ASSIGN_OR_RETURN(const int last, LastCapability());
  const CapabilitySet own = effective & bounding;
  CapabilitySet absent, lacking;
  for (int number = 0; number <= last; ++number)
    if (!own.Has(number)) absent.Add(number);
  for (const int number : kNeeded)
    if (absent.Has(number)) lacking.Add(number);
  const size_t count = CapabilityNames(absent).size();
  if (count == 0) return Works(fmt::format("all {}", last + 1));
  Finding finding{"", FindingStatus::kDegraded, "", "", ""};
  finding.seen = fmt::format("{} of {}: without {}", last + 1 - count, last + 1,
                             fmt::join(CapabilityNames(absent), ", "));
  finding.meaning = "privileged containers and those that add ALL get what the daemon has, no more";
  finding.remedy =
      "start the daemon with a full bounding set: no CapabilityBoundingSet= in its unit, "
      "--cap-add=ALL for the container around it";
  if (lacking.bits == 0) return finding;
  finding.status = FindingStatus::kMissing;
  finding.meaning =
      fmt::format("pods cannot be run without {}", fmt::join(CapabilityNames(lacking), ", "));
  return finding;
}

// As low as the kubelet asks for Guaranteed pods.
Result<Finding> TryOomScore() {
  RETURN_IF_ERROR(WriteExisting("/proc/self/oom_score_adj", "-997"));
  return Works("set to -997");
}

Result<Finding> TryProcesses() {
  ASSIGN_OR_RETURN(const ChildProcess child, CloneProcess({}, [] { return pause(); }));
  const UniqueFd second(static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0)));
  if (!second.valid()) return FailWithErrno("pidfd_open");
  RETURN_IF_ERROR(SendSignal(second.get(), SIGKILL));
  pollfd ended{child.pidfd.get(), POLLIN, 0};
  if (poll(&ended, 1, 4000) != 1) return Fail(ErrorCode::kInternal, "a pidfd tells no end");
  ASSIGN_OR_RETURN(const auto end, ReapChild(child.pidfd.get()));
  if (!end || end->signal != SIGKILL)
    return Fail(ErrorCode::kInternal, "a process that was killed by its pidfd goes on");
  constexpr unsigned kBeyondAll = 1u << 30;
  if (close_range(kBeyondAll, kBeyondAll, 0) != 0) return FailWithErrno("close_range");
  return Works("clone3, pidfd_open, pidfd_send_signal, waitid(P_PIDFD), close_range");
}

struct NamespaceType {
  int flag;
  const char* name;
};
constexpr NamespaceType kNamespaceTypes[] = {{CLONE_NEWNS, "mnt"},  {CLONE_NEWPID, "pid"},
                                             {CLONE_NEWNET, "net"}, {CLONE_NEWIPC, "ipc"},
                                             {CLONE_NEWUTS, "uts"}, {CLONE_NEWCGROUP, "cgroup"}};

Result<Finding> TryNamespaces() {
  std::vector<std::string> made, refused;
  std::string remedy = "run the daemon as root in the host's user namespace";
  for (const auto& [flag, name] : kNamespaceTypes) {
    const int error = ErrnoOfChild([type = flag] { return unshare(type) == 0 ? 0 : errno; });
    if (error == 0) {
      made.push_back(name);
      continue;
    }
    refused.push_back(fmt::format("{}: {}", name, strerror(error)));
    if (error == ENOSPC) remedy = fmt::format("sysctl -w user.max_{}_namespaces=65536", name);
    if (error == EINVAL) remedy = "a kernel with CONFIG_NAMESPACES and all that is below it";
  }
  if (refused.empty()) return Works(fmt::format("{}", fmt::join(made, ", ")));
  return Finding{"", FindingStatus::kMissing, fmt::format("{}", fmt::join(refused, "; ")),
                 "no pod starts", remedy};
}

}  // namespace

void ProbeProcesses(const ProbeRunner& run) {
  run({.name = "capabilities",
       .meaning = "no pod starts",
       .remedy = "run the daemon as root",
       .run = TryCapabilities});
  run({.name = "oom score",
       .failure = FindingStatus::kDegraded,
       .meaning = "Guaranteed pods are killed as readily as others when memory is short",
       .remedy = "give the daemon CAP_SYS_RESOURCE",
       .run = TryOomScore});
  run({.name = "processes",
       .meaning = "no pod starts",
       .remedy = "Linux 5.15 or newer; let the seccomp filter around the daemon allow "
                 "clone3, pidfd_open, pidfd_send_signal and close_range",
       .run = TryProcesses});
  run({.name = "namespaces",
       .meaning = "no pod starts",
       .remedy = "run the daemon as root",
       .run = TryNamespaces});
}

}  // namespace catamaran

#include "sandbox/container/mapped_process.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/container/stage_channel.h"
#include "sandbox/kernel/unix_socket.h"
#include "sandbox/kernel/user_namespace.h"

namespace catamaran {
namespace {

constexpr const char* kProcess = "process";

// Never returns in the sibling.
Result<UniqueFd> CloneSibling(uint64_t namespaces, UniqueFunction<int()>& body) {
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = namespaces | CLONE_PIDFD | CLONE_PARENT;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  // Its exit signal is this process's own.
  const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0) return FailWithErrno("clone3 in the user namespace");
  if (pid > 0) return UniqueFd(pidfd);
  // Only now, so that a limit on the processes of this user is not met by the clone.
  if (!BecomeNamespaceRoot()) _exit(1);
  _exit(body());
}

Status Enter(const CloneOptions& options, const UserNamespaceEntry& entry,
             UniqueFunction<int()>& body, StageChannel& channel) {
  if (entry.while_privileged) RETURN_IF_ERROR(entry.while_privileged());
  if (setns(entry.namespace_fd, CLONE_NEWUSER) != 0)
    return FailWithErrno("enter the sandbox's user namespace");
  UniqueFunction<int()> quietly = [&] {
    channel = StageChannel(UniqueFd());
    return body();
  };
  ASSIGN_OR_RETURN(const auto pidfd, CloneSibling(options.namespaces, quietly));
  auto sent = channel.SendDescriptor(kProcess, pidfd.get());
  // Nobody would know of it.
  if (!sent) (void)SendSignal(pidfd.get(), SIGKILL);
  return sent;
}

Result<UniqueFd> ReceiveProcess(const StageChannel& channel) {
  ASSIGN_OR_RETURN(auto message, channel.Receive());
  if (!message) return Fail(ErrorCode::kInternal, "it ended on its way into the user namespace");
  if (message->kind == StageMessage::Kind::kFailed)
    return tl::unexpected(std::move(message->error));
  return std::move(message->descriptor);
}

}  // namespace

Result<ChildProcess> CloneProcess(const CloneOptions& options, const UserNamespaceEntry& entry,
                                  UniqueFunction<int()> body) {
  if (entry.namespace_fd < 0) return CloneProcess(options, std::move(body));
  ASSIGN_OR_RETURN(SocketPair sockets, MakeSocketPair(SOCK_SEQPACKET));
  const StageChannel ours(std::move(sockets.ours));
  StageChannel theirs(std::move(sockets.theirs));
  CloneOptions on_its_way;
  on_its_way.cgroup_fd = options.cgroup_fd;
  ASSIGN_OR_RETURN(const auto on_way, CloneProcess(on_its_way, [&] {
                     auto entered = Enter(options, entry, body, theirs);
                     if (entered) return 0;
                     return theirs.SendFailed(entered.error()) ? 1 : 2;
                   }));
  theirs = StageChannel(UniqueFd());
  Cleanup reap([&on_way] { (void)KillAndReap(on_way.pidfd.get()); });
  ChildProcess process;
  ASSIGN_OR_RETURN(process.pidfd, ReceiveProcess(ours));
  auto pid = PidOf(process.pidfd.get());
  if (!pid) {
    (void)KillAndReap(process.pidfd.get());
    return tl::unexpected(std::move(pid).error());
  }
  process.pid = *pid;
  return process;
}

}  // namespace catamaran

// How a container's first process is started in the sandbox's user namespace.
#include <sched.h>
#include <signal.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/container/container.h"
#include "sandbox/container/init_steps.h"
#include "sandbox/container/mapped_init.h"
#include "sandbox/kernel/unix_socket.h"

namespace catamaran {

Status Container::LaunchMapped(InitInput input, ContainerProcess::Options options, Stdio stdio) {
  ASSIGN_OR_RETURN(SocketPair sockets, MakeSocketPair(SOCK_SEQPACKET));
  StageChannel program_end(std::move(sockets.ours));
  StageChannel builder_end(std::move(sockets.theirs));
  options.entry.namespace_fd = sandbox_.namespaces.user.get();
  options.entry.while_privileged = [this, &input]() -> Status {
    RETURN_IF_ERROR(JoinCgroup(input.cgroup));
    RETURN_IF_ERROR(SetOomScore(plan_.process));
    RaiseHardLimits(plan_.process);
    return GiveStreamsTo(input.stdio, plan_.root_uid, plan_.root_gid);
  };
  RETURN_IF_ERROR(LaunchProcess(
      options,
      [&](const StageChannel& channel) {
        input.channel = &channel;
        return RunMappedProgram(input, program_end);
      },
      std::move(stdio)));
  program_end = StageChannel(UniqueFd());
  if (auto built = LaunchBuilder(input, options.clone.cgroup_fd, builder_end); !built) {
    // The process is there: its end is the end of this.
    failure_ = std::move(built).error();
    init_->Signal(SIGKILL).map_error([](const Error&) {});
  }
  return {};
}

Status Container::LaunchBuilder(const InitInput& input, int cgroup_fd,
                                const StageChannel& handover) {
  const int program = init_->pidfd();
  ASSIGN_OR_RETURN(const auto scope, ScopedNamespace::Enter(program, CLONE_NEWPID));
  ASSIGN_OR_RETURN(builder_, CloneProcess({.namespaces = CLONE_NEWNS, .cgroup_fd = cgroup_fd}, [&] {
                     return RunMappedBuilder(input, handover, program);
                   }));
  AbortStep();
  auto watch = sandbox_.loop->WatchProcess(builder_.pidfd.get(), [this] { ReapBuilder(); });
  if (!watch) {
    KillAndReap(builder_.pidfd.get()).map_error([](const Error&) {});
    builder_.pidfd.Reset();
    return tl::unexpected(std::move(watch).error());
  }
  builder_watch_ = std::move(*watch);
  return {};
}

void Container::ReapBuilder() {
  builder_watch_.Cancel();
  if (builder_.pidfd.valid()) KillAndReap(builder_.pidfd.get()).map_error([](const Error&) {});
  builder_.pidfd.Reset();
}

}  // namespace catamaran

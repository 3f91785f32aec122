#include "sandbox/container/init_steps.h"

#include <sched.h>
#include <unistd.h>

#include "sandbox/container/device_steps.h"
#include "sandbox/kernel/process.h"

namespace catamaran {

Status Named(Status status, const char* doing) {
  if (!status) return tl::unexpected(std::move(status).error().While(doing));
  return status;
}

void DropEngineDescriptors(const StageChannel& channel, const ProcessStdio& stdio,
                           std::vector<int> needed) {
  needed.insert(needed.end(), {0, 1, 2, channel.fd(), stdio.in, stdio.out, stdio.err});
  CloseDescriptorsExcept(std::move(needed));
}

void KeepOnlyStandardStreams(const StageChannel& channel, int also) {
  CloseDescriptorsExcept({0, 1, 2, channel.fd(), also});
}

Status JoinCgroup(const Cgroup* cgroup) {
  if (cgroup == nullptr) return {};
  return Named(cgroup->Attach(0), "join the container's cgroup");
}

Status JoinNamespaces(const NamespacePlan& plan, const SandboxNamespaces& sandbox) {
  const struct {
    bool wanted;
    int fd;
    int type;
    const char* name;
  } joins[] = {{plan.pod_network, sandbox.network.get(), CLONE_NEWNET, "network"},
               {plan.pod_ipc, sandbox.ipc.get(), CLONE_NEWIPC, "ipc"},
               {plan.pod_uts, sandbox.uts.get(), CLONE_NEWUTS, "uts"}};
  for (const auto& join : joins)
    if (join.wanted && setns(join.fd, join.type) != 0)
      return FailWithErrno("join the sandbox's {} namespace", join.name);
  return {};
}

Result<UniqueFd> MakeTerminal(int devpts_fd, const StageChannel& channel) {
  ASSIGN_OR_RETURN(auto terminal, OpenTerminal(devpts_fd));
  RETURN_IF_ERROR(channel.SendDescriptor(kTerminalDescriptor, terminal.master.get()));
  return std::move(terminal.slave);
}

Status WaitFor(const StageChannel& channel, StageMessage::Kind kind) {
  ASSIGN_OR_RETURN(auto message, channel.Receive());
  // The engine is gone: so is this container, which never ran.
  if (!message) _exit(1);
  if (message->kind != kind)
    return Fail(ErrorCode::kInternal, "a message of kind {} where {} was waited for",
                static_cast<int>(message->kind), static_cast<int>(kind));
  return {};
}

Status WaitForStart(const StageChannel& channel) {
  return WaitFor(channel, StageMessage::Kind::kStart);
}

Status RunCreationHooks(const InitInput& input, const StageChannel& channel, int root_fd,
                        pid_t pid) {
  if (input.hooks == nullptr) return {};
  RETURN_IF_ERROR(Named(WriteBundle(*input.hooks, input.plan->process, root_fd),
                        "describe the container to its hooks"));
  if (input.hooks->HasBeforeRoot()) {
    RETURN_IF_ERROR(channel.SendBuilt());
    RETURN_IF_ERROR(WaitFor(channel, StageMessage::Kind::kContinue));
  }
  return RunHooks(*input.hooks, HookPoint::kCreateContainer, pid);
}

Status RunStartHooks(const InitInput& input) {
  if (input.hooks == nullptr) return {};
  return RunHooks(*input.hooks, HookPoint::kStartContainer, getpid());
}

int ReportFailure(const StageChannel& channel, const Error& error) {
  return channel.SendFailed(error) ? 1 : 2;
}

}  // namespace catamaran

#include "sandbox/container/init.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/container/device_steps.h"
#include "sandbox/container/mount_steps.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/process.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

Status Named(Status status, const char* doing) {
  if (!status) return tl::unexpected(std::move(status).error().While(doing));
  return status;
}

// Before anything that belongs to a container can see this process: descriptors of the engine that
// stay open are ways out (CVE-2024-21626).
void DropEngineDescriptors(const StageChannel& channel, const ProcessStdio& stdio,
                           std::vector<int> needed) {
  needed.insert(needed.end(), {0, 1, 2, channel.fd(), stdio.in, stdio.out, stdio.err});
  CloseDescriptorsExcept(std::move(needed));
}

void KeepOnlyStandardStreams(const StageChannel& channel) {
  CloseDescriptorsExcept({0, 1, 2, channel.fd()});
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
  // After the process is in its group, which becomes the root of what it sees.
  if (plan.new_cgroup && unshare(CLONE_NEWCGROUP) != 0)
    return FailWithErrno("make a cgroup namespace");
  return {};
}

// Opens the process's terminal and sends its master to the parent.
Result<UniqueFd> MakeTerminal(int devpts_fd, const StageChannel& channel) {
  ASSIGN_OR_RETURN(auto terminal, OpenTerminal(devpts_fd));
  RETURN_IF_ERROR(channel.SendDescriptor(kTerminalDescriptor, terminal.master.get()));
  return std::move(terminal.slave);
}

Status WaitForStart(const StageChannel& channel) {
  ASSIGN_OR_RETURN(auto message, channel.Receive());
  // The engine is gone: so is this container, which never ran.
  if (!message) _exit(1);
  if (message->kind != StageMessage::Kind::kStart)
    return Fail(ErrorCode::kInternal, "a message other than Start");
  return {};
}

Status BuildContainer(const InitInput& input, MountSteps& mounts) {
  const ContainerPlan& plan = *input.plan;
  RootfsBuilder builder(input.scratch_folder, input.rootfs_method);
  RETURN_IF_ERROR(mounts.OpenSources());
  RETURN_IF_ERROR(LeavePeerGroups());
  RETURN_IF_ERROR(
      Named(mounts.OpenSharedMemory(input.sandbox->shared_memory.get()), "open /dev/shm"));
  RETURN_IF_ERROR(Named(mounts.MountRoot(builder), "mount the root file system"));
  RETURN_IF_ERROR(JoinNamespaces(plan.namespaces, *input.sandbox));
  RETURN_IF_ERROR(mounts.MountAll(builder));
  return MakeDevices(mounts.root_fd(), plan);
}

// Everything up to Prepared: returns who the process is going to be.
Result<ProcessUser> PrepareContainer(const InitInput& input, MountSteps& mounts) {
  const ContainerPlan& plan = *input.plan;
  if (input.cgroup != nullptr)
    RETURN_IF_ERROR(Named(input.cgroup->Attach(0), "join the container's cgroup"));
  const SandboxNamespaces& sandbox = *input.sandbox;
  DropEngineDescriptors(
      *input.channel, input.stdio,
      {sandbox.network.get(), sandbox.ipc.get(), sandbox.uts.get(), sandbox.shared_memory.get()});
  RETURN_IF_ERROR(BeginProcess(plan.process));
  RETURN_IF_ERROR(BuildContainer(input, mounts));
  ASSIGN_OR_RETURN(auto user, ResolveUser(mounts.root_fd(), plan.process.user()));
  UniqueFd slave;
  if (plan.process.terminal()) {
    ASSIGN_OR_RETURN(slave, MakeTerminal(mounts.devpts_fd(), *input.channel));
    RETURN_IF_ERROR(Named(BindConsole(mounts.root_fd(), slave.get()), "bind /dev/console"));
  }
  if (mounts.devpts_fd() >= 0)
    RETURN_IF_ERROR(input.channel->SendDescriptor(kDevptsDescriptor, mounts.devpts_fd()));
  ASSIGN_OR_RETURN(auto folder, OpenWorkingDirectory(mounts.root_fd(), plan.process.cwd()));
  RETURN_IF_ERROR(mounts.MakePathsReadonly());
  RETURN_IF_ERROR(mounts.MaskPaths());
  RETURN_IF_ERROR(Named(mounts.EnterRoot(), "enter the root file system"));
  RETURN_IF_ERROR(EnterWorkingDirectory(folder.get()));
  RETURN_IF_ERROR(slave.valid() ? InstallTerminal(slave.get(), user.ids.uid())
                                : InstallStdio(input.stdio, mounts.null_fd(), user.ids.uid()));
  return user;
}

Error ContainerMain(const InitInput& input) {
  auto user = [&input] {
    MountSteps mounts(*input.plan);
    return PrepareContainer(input, mounts);
  }();
  if (!user) return std::move(user).error();
  KeepOnlyStandardStreams(*input.channel);
  if (auto sent = input.channel->SendPrepared(user->ids); !sent) return std::move(sent).error();
  if (auto started = WaitForStart(*input.channel); !started) return std::move(started).error();
  return BecomeProgram(input.plan->process,
                       Credentials{std::move(*user), input.capabilities, input.seccomp});
}

Result<ProcessUser> PrepareExec(const ExecInput& input) {
  if (input.cgroup != nullptr)
    RETURN_IF_ERROR(Named(input.cgroup->Attach(0), "join the container's cgroup"));
  DropEngineDescriptors(*input.channel, input.stdio, {input.container_pidfd, input.devpts_fd});
  RETURN_IF_ERROR(BeginProcess(*input.process));
  ASSIGN_OR_RETURN(auto null_device, OpenFile("/dev/null", O_RDWR | O_NOFOLLOW));
  constexpr int kAll = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (setns(input.container_pidfd, kAll) != 0)
    return FailWithErrno("join the container's namespaces");
  ASSIGN_OR_RETURN(auto root, OpenFile("/", O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(auto user, ResolveUser(root.get(), input.process->user()));
  ASSIGN_OR_RETURN(auto folder, OpenWorkingDirectory(root.get(), input.process->cwd()));
  RETURN_IF_ERROR(EnterWorkingDirectory(folder.get()));
  if (input.process->terminal()) {
    ASSIGN_OR_RETURN(auto slave, MakeTerminal(input.devpts_fd, *input.channel));
    RETURN_IF_ERROR(InstallTerminal(slave.get(), user.ids.uid()));
  } else {
    RETURN_IF_ERROR(InstallStdio(input.stdio, null_device.get(), user.ids.uid()));
  }
  return user;
}

Error ExecMain(const ExecInput& input) {
  auto user = PrepareExec(input);
  if (!user) return std::move(user).error();
  KeepOnlyStandardStreams(*input.channel);
  if (auto sent = input.channel->SendPrepared(user->ids); !sent) return std::move(sent).error();
  return BecomeProgram(*input.process,
                       Credentials{std::move(*user), input.capabilities, input.seccomp});
}

int Report(const StageChannel& channel, const Error& error) {
  // The parent takes the end of the stream before Prepared for a failure as well.
  return channel.SendFailed(error) ? 1 : 2;
}

}  // namespace

int RunContainerInit(const InitInput& input) {
  return Report(*input.channel, ContainerMain(input));
}

int RunExecInit(const ExecInput& input) { return Report(*input.channel, ExecMain(input)); }

}  // namespace catamaran

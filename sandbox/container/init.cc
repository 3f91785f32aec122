#include "sandbox/container/init.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/container/device_steps.h"
#include "sandbox/container/id_maps.h"
#include "sandbox/container/init_steps.h"
#include "sandbox/container/mount_steps.h"
#include "sandbox/container/scheduling.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/process.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

Status BuildContainer(const InitInput& input, MountSteps& mounts) {
  const ContainerPlan& plan = *input.plan;
  RootfsBuilder builder(input.scratch_folder, input.rootfs_method);
  RETURN_IF_ERROR(mounts.OpenSources());
  RETURN_IF_ERROR(LeavePeerGroups());
  RETURN_IF_ERROR(
      Named(mounts.OpenSharedMemory(input.sandbox->shared_memory.get()), "open /dev/shm"));
  RETURN_IF_ERROR(Named(mounts.MountRoot(builder), "mount the root file system"));
  RETURN_IF_ERROR(JoinNamespaces(plan.namespaces, *input.sandbox));
  // After the process is in its group, which becomes the root of what it sees.
  if (plan.namespaces.new_cgroup && unshare(CLONE_NEWCGROUP) != 0)
    return FailWithErrno("make a cgroup namespace");
  return mounts.MountAll(builder);
}

// Everything up to Prepared: returns who the process is going to be.
Result<ProcessUser> PrepareContainer(const InitInput& input, MountSteps& mounts) {
  const ContainerPlan& plan = *input.plan;
  RETURN_IF_ERROR(JoinCgroup(input.cgroup));
  const SandboxNamespaces& sandbox = *input.sandbox;
  DropEngineDescriptors(
      *input.channel, input.stdio,
      {sandbox.network.get(), sandbox.ipc.get(), sandbox.uts.get(), sandbox.shared_memory.get()});
  BeginSession();
  RETURN_IF_ERROR(SetOomScore(plan.process));
  RETURN_IF_ERROR(BuildContainer(input, mounts));
  ASSIGN_OR_RETURN(auto user, ResolveUser(mounts.root_fd(), plan.process.user()));
  RETURN_IF_ERROR(MakeDevices(mounts.root_fd(), plan, user.ids));
  RETURN_IF_ERROR(RunCreationHooks(input, *input.channel, mounts.root_fd(), getpid()));
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
    MountSteps mounts(*input.plan, -1);
    return PrepareContainer(input, mounts);
  }();
  if (!user) return std::move(user).error();
  KeepOnlyStandardStreams(*input.channel);
  if (auto sent = input.channel->SendPrepared(user->ids); !sent) return std::move(sent).error();
  if (auto started = WaitForStart(*input.channel); !started) return std::move(started).error();
  return BecomeProgram(
      input.plan->process,
      Credentials{std::move(*user), input.capabilities, input.ambient, input.seccomp, {}},
      [&input] { return RunStartHooks(input); });
}

Status EnterContainer(const ExecInput& input) {
  constexpr int kAll = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  const spec::UserNamespace* users = input.user_namespace;
  if (users != nullptr) {
    RaiseHardLimits(*input.process);
    // To a root that may then give them to any user it has.
    RETURN_IF_ERROR(GiveStreamsTo(input.stdio, OutsideId(users->uids(), 0).value_or(0),
                                  OutsideId(users->gids(), 0).value_or(0)));
  }
  if (setns(input.container_pidfd, kAll | (users != nullptr ? CLONE_NEWUSER : 0)) != 0)
    return FailWithErrno("join the container's namespaces");
  return users != nullptr ? BecomeNamespaceRoot() : Status();
}

// What a process in a user namespace can no longer open.
Result<std::optional<ProcHandle>> OpenProcForLabels(const ExecInput& input) {
  if (input.user_namespace == nullptr || !HasLabels(*input.process))
    return std::optional<ProcHandle>();
  ASSIGN_OR_RETURN(auto proc, ProcHandle::OpenPrivate());
  return std::optional(std::move(proc));
}

Result<ProcessUser> PrepareExec(const ExecInput& input) {
  BeginSession();
  RETURN_IF_ERROR(SetOomScore(*input.process));
  // As its container's first process has them, which is what OCI runtimes do.
  RETURN_IF_ERROR(ApplyScheduling(*input.process, 0));
  ASSIGN_OR_RETURN(auto null_device, OpenFile("/dev/null", O_RDWR | O_NOFOLLOW));
  RETURN_IF_ERROR(EnterContainer(input));
  ASSIGN_OR_RETURN(auto root, OpenFile("/", O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(auto user, ResolveUser(root.get(), input.process->user()));
  if (input.user_namespace != nullptr)
    RETURN_IF_ERROR(CheckUserIsMapped(*input.user_namespace, user.ids));
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
  if (auto joined = JoinCgroup(input.cgroup); !joined) return std::move(joined).error();
  DropEngineDescriptors(*input.channel, input.stdio, {input.container_pidfd, input.devpts_fd});
  auto proc = OpenProcForLabels(input);
  if (!proc) return std::move(proc).error();
  auto user = PrepareExec(input);
  if (!user) return std::move(user).error();
  KeepOnlyStandardStreams(*input.channel, *proc ? (*proc)->fd() : -1);
  if (auto sent = input.channel->SendPrepared(user->ids); !sent) return std::move(sent).error();
  return BecomeProgram(*input.process,
                       Credentials{std::move(*user), input.capabilities, input.ambient,
                                   input.seccomp, *std::move(proc)},
                       []() -> Status { return {}; });
}

}  // namespace

int RunContainerInit(const InitInput& input) {
  return ReportFailure(*input.channel, ContainerMain(input));
}

int RunExecInit(const ExecInput& input) { return ReportFailure(*input.channel, ExecMain(input)); }

}  // namespace catamaran

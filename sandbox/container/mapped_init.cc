#include "sandbox/container/mapped_init.h"

#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "sandbox/base/files.h"
#include "sandbox/container/device_steps.h"
#include "sandbox/container/id_maps.h"
#include "sandbox/container/init_steps.h"
#include "sandbox/container/mount_steps.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

constexpr const char* kMountNamespace = "mnt";
constexpr const char* kProc = "proc";

// ---- The program ----

// What the builder hands over.
struct Built {
  UniqueFd mount_namespace;
  std::optional<ProcHandle> proc;  // to write labels with
};

Result<Built> ReceiveBuilt(const InitInput& input, const StageChannel& handover) {
  RETURN_IF_ERROR(handover.SendStart());
  Built built;
  while (!built.mount_namespace.valid()) {
    ASSIGN_OR_RETURN(auto message, handover.Receive());
    if (!message)
      return Fail(ErrorCode::kInternal, "the process that builds the container has ended");
    if (message->kind == StageMessage::Kind::kFailed)
      return tl::unexpected(std::move(message->error));
    if (message->kind == StageMessage::Kind::kBuilt) {
      // Its channel ends here; it waits for what the engine answers.
      RETURN_IF_ERROR(input.channel->SendBuilt());
      RETURN_IF_ERROR(WaitFor(*input.channel, StageMessage::Kind::kContinue));
      RETURN_IF_ERROR(handover.SendContinue());
    } else if (message->name == kProc) {
      built.proc = ProcHandle::FromDescriptor(std::move(message->descriptor));
    } else {
      built.mount_namespace = std::move(message->descriptor);
    }
  }
  return built;
}

// Invalid where the request brought its own /dev.
Result<UniqueFd> OpenDevpts(const ContainerPlan& plan, int root_fd) {
  const bool ours = std::any_of(plan.mounts.begin(), plan.mounts.end(),
                                [](const auto& mount) { return mount.type == "devpts"; });
  if (!ours) return UniqueFd();
  return OpenInRoot(root_fd, "dev/pts", O_PATH | O_DIRECTORY);
}

Result<ProcessUser> EnterBuilt(const InitInput& input, int null_fd) {
  const ContainerPlan& plan = *input.plan;
  ASSIGN_OR_RETURN(auto root, OpenFile("/", O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(auto user, ResolveUser(root.get(), plan.process.user()));
  RETURN_IF_ERROR(CheckUserIsMapped(*plan.user_namespace, user.ids));
  ASSIGN_OR_RETURN(auto folder, OpenWorkingDirectory(root.get(), plan.process.cwd()));
  RETURN_IF_ERROR(EnterWorkingDirectory(folder.get()));
  ASSIGN_OR_RETURN(auto devpts, OpenDevpts(plan, root.get()));
  if (devpts.valid())
    RETURN_IF_ERROR(input.channel->SendDescriptor(kDevptsDescriptor, devpts.get()));
  if (!plan.process.terminal()) {
    RETURN_IF_ERROR(InstallStdio(input.stdio, null_fd, user.ids.uid()));
    return user;
  }
  ASSIGN_OR_RETURN(auto slave, MakeTerminal(devpts.get(), *input.channel));
  RETURN_IF_ERROR(Named(BindConsole(root.get(), slave.get()), "bind /dev/console"));
  RETURN_IF_ERROR(InstallTerminal(slave.get(), user.ids.uid()));
  return user;
}

Result<ProcessUser> PrepareProgram(const InitInput& input, const StageChannel& handover,
                                   std::optional<ProcHandle>& proc) {
  const SandboxNamespaces& sandbox = *input.sandbox;
  DropEngineDescriptors(
      *input.channel, input.stdio,
      {handover.fd(), sandbox.network.get(), sandbox.ipc.get(), sandbox.uts.get()});
  BeginSession();
  ASSIGN_OR_RETURN(auto null_device, OpenFile("/dev/null", O_RDWR | O_NOFOLLOW));
  RETURN_IF_ERROR(JoinNamespaces(input.plan->namespaces, sandbox));
  if (input.plan->namespaces.new_cgroup && unshare(CLONE_NEWCGROUP) != 0)
    return FailWithErrno("make a cgroup namespace");
  ASSIGN_OR_RETURN(auto built, ReceiveBuilt(input, handover));
  if (setns(built.mount_namespace.get(), CLONE_NEWNS) != 0)
    return FailWithErrno("enter the container");
  proc = std::move(built.proc);
  return EnterBuilt(input, null_device.get());
}

Error ProgramMain(const InitInput& input, const StageChannel& handover) {
  std::optional<ProcHandle> proc;
  auto user = PrepareProgram(input, handover, proc);
  if (!user) return std::move(user).error();
  KeepOnlyStandardStreams(*input.channel, proc ? proc->fd() : -1);
  if (auto sent = input.channel->SendPrepared(user->ids); !sent) return std::move(sent).error();
  if (auto started = WaitForStart(*input.channel); !started) return std::move(started).error();
  return BecomeProgram(input.plan->process,
                       Credentials{std::move(*user), input.capabilities, input.ambient,
                                   input.seccomp, std::move(proc)},
                       [&input] { return RunStartHooks(input); });
}

// ---- The builder ----

// Files that this process makes from now on belong to the container's root. It keeps the machine's
// capabilities, which a change of the file system user would else take (capabilities(7)).
Status MakeFilesAs(uid_t uid, gid_t gid) {
  if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0)
    return FailWithErrno("set securebits");
  setfsgid(gid);
  setfsuid(uid);
  constexpr auto kAsk = static_cast<uid_t>(-1);
  if (static_cast<uid_t>(setfsuid(kAsk)) != uid || static_cast<gid_t>(setfsgid(kAsk)) != gid)
    return Fail(ErrorCode::kPermissionDenied, "make files as user {} and group {}", uid, gid);
  return {};
}

// The container's user as the machine sees it.
Result<spec::ResolvedUser> OutsideUser(const ContainerPlan& plan, int root_fd) {
  ASSIGN_OR_RETURN(auto user, ResolveUser(root_fd, plan.process.user()));
  RETURN_IF_ERROR(CheckUserIsMapped(*plan.user_namespace, user.ids));
  user.ids.set_uid(*OutsideId(plan.user_namespace->uids(), user.ids.uid()));
  user.ids.set_gid(*OutsideId(plan.user_namespace->gids(), user.ids.gid()));
  return user.ids;
}

Status Build(const InitInput& input, MountSteps& mounts, const StageChannel& handover,
             int program_pidfd) {
  const ContainerPlan& plan = *input.plan;
  RootfsBuilder builder(input.scratch_folder, input.rootfs_method);
  RETURN_IF_ERROR(mounts.OpenSources());
  RETURN_IF_ERROR(LeavePeerGroups());
  RETURN_IF_ERROR(
      Named(mounts.OpenSharedMemory(input.sandbox->shared_memory.get()), "open /dev/shm"));
  RETURN_IF_ERROR(Named(mounts.MountRoot(builder), "mount the root file system"));
  RETURN_IF_ERROR(MakeFilesAs(plan.root_uid, plan.root_gid));
  RETURN_IF_ERROR(JoinNamespaces(plan.namespaces, *input.sandbox));
  if (plan.namespaces.new_cgroup && setns(program_pidfd, CLONE_NEWCGROUP) != 0)
    return FailWithErrno("join the container's cgroup namespace");
  RETURN_IF_ERROR(mounts.MountAll(builder));
  ASSIGN_OR_RETURN(const auto user, OutsideUser(plan, mounts.root_fd()));
  RETURN_IF_ERROR(MakeDevices(mounts.root_fd(), plan, user));
  // Of a shared pid namespace only the program's number there is not known here.
  RETURN_IF_ERROR(
      RunCreationHooks(input, handover, mounts.root_fd(), plan.namespaces.new_pid ? 1 : 0));
  // Made where it is missing, while the root can be written.
  RETURN_IF_ERROR(
      OpenWorkingDirectory(mounts.root_fd(), plan.process.cwd()).map([](const UniqueFd&) {}));
  RETURN_IF_ERROR(mounts.MakePathsReadonly());
  RETURN_IF_ERROR(mounts.MaskPaths());
  return {};
}

Status HandOver(const InitInput& input, MountSteps& mounts, const StageChannel& handover) {
  if (HasLabels(input.plan->process)) {
    ASSIGN_OR_RETURN(const auto proc, ProcHandle::OpenPrivate());
    RETURN_IF_ERROR(handover.SendDescriptor(kProc, proc.fd()));
  }
  ASSIGN_OR_RETURN(auto machine_proc, OpenFile("/proc", O_PATH | O_DIRECTORY));
  RETURN_IF_ERROR(Named(mounts.EnterRoot(), "enter the root file system"));
  if (setns(input.sandbox->user.get(), CLONE_NEWUSER) != 0)
    return FailWithErrno("enter the sandbox's user namespace");
  if (unshare(CLONE_NEWNS) != 0)
    return FailWithErrno("make a mount namespace in the user namespace");
  ASSIGN_OR_RETURN(auto own, OpenFileAt(machine_proc.get(), "thread-self/ns/mnt", O_RDONLY));
  return handover.SendDescriptor(kMountNamespace, own.get());
}

Status BuilderMain(const InitInput& input, const StageChannel& handover, int program_pidfd) {
  RETURN_IF_ERROR(JoinCgroup(input.cgroup));
  const SandboxNamespaces& sandbox = *input.sandbox;
  DropEngineDescriptors(handover, {},
                        {program_pidfd, sandbox.user.get(), sandbox.network.get(),
                         sandbox.ipc.get(), sandbox.uts.get(), sandbox.shared_memory.get()});
  BeginSession();
  // The program has made its cgroup namespace.
  RETURN_IF_ERROR(WaitForStart(handover));
  MountSteps mounts(*input.plan, sandbox.user.get());
  RETURN_IF_ERROR(Build(input, mounts, handover, program_pidfd));
  return HandOver(input, mounts, handover);
}

}  // namespace

int RunMappedProgram(const InitInput& input, const StageChannel& handover) {
  return ReportFailure(*input.channel, ProgramMain(input, handover));
}

int RunMappedBuilder(const InitInput& input, const StageChannel& handover, int program_pidfd) {
  auto built = BuilderMain(input, handover, program_pidfd);
  return built ? 0 : ReportFailure(handover, built.error());
}

}  // namespace catamaran

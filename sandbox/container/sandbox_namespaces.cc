#include "sandbox/container/sandbox_namespaces.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/container/id_maps.h"
#include "sandbox/container/mapped_process.h"
#include "sandbox/container/sysctls.h"
#include "sandbox/kernel/mounts.h"

namespace catamaran {
namespace {

constexpr uint64_t kDefaultSharedMemory = 64 << 20;
constexpr uid_t kNobody = 65534;
constexpr uint64_t kFromOwner = CLONE_NEWIPC | CLONE_NEWUTS;

Result<UniqueFd> OpenNetworkNamespace(const std::string& path) {
  auto found = OpenFile(path, O_RDONLY | O_NONBLOCK);
  if (!found)
    return Fail(ErrorCode::kInvalidArgument, "network_namespace: {}", found.error().message);
  if (ioctl(found->get(), NS_GET_NSTYPE) != CLONE_NEWNET)
    return Fail(ErrorCode::kInvalidArgument, "network_namespace \"{}\" is not a network namespace",
                path);
  return found;
}

Status BringLoopbackUp() {
  UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  strcpy(request.ifr_name, "lo");
  if (!socket_fd.valid() || ioctl(socket_fd.get(), SIOCGIFFLAGS, &request) != 0)
    return FailWithErrno("read the flags of lo");
  if ((request.ifr_flags & IFF_UP) != 0) return {};
  request.ifr_flags |= IFF_UP;
  if (ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) != 0) return FailWithErrno("bring lo up");
  return {};
}

// What the root of the sandbox's containers is on this machine.
uint32_t RootOutside(const IdMappings& mappings) { return OutsideId(mappings, 0).value_or(0); }

// A tmpfs that is all this mount namespace holds.
Status EnterSharedMemory(const spec::SandboxSpec& sandbox) {
  const uint64_t size =
      sandbox.shm_size_bytes() > 0 ? sandbox.shm_size_bytes() : kDefaultSharedMemory;
  RETURN_IF_ERROR(LeavePeerGroups());
  std::vector<MountParameter> parameters = {
      {"source", "shm"},
      {"mode", "1777"},
      {"size", std::to_string(size)},
      {"uid", std::to_string(RootOutside(sandbox.user_namespace().uids()))},
      {"gid", std::to_string(RootOutside(sandbox.user_namespace().gids()))}};
  if (!sandbox.mount_label().empty()) parameters.push_back({"context", sandbox.mount_label()});
  ASSIGN_OR_RETURN(auto memory,
                   MakeFilesystem("tmpfs", parameters,
                                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV));
  // Anywhere but on the root itself; nothing of it is seen again after the pivot.
  ASSIGN_OR_RETURN(auto target, OpenFile("/proc", O_PATH | O_DIRECTORY));
  RETURN_IF_ERROR(AttachMount(memory.get(), target.get()));
  return PivotRoot(memory.get());
}

struct ChildInput {
  const spec::SandboxSpec* sandbox;
  int network_fd;
  int owner_pidfd;
  uint64_t from_owner;  // CLONE_NEW*
  StageChannel* channel;
};

Status SetUp(const ChildInput& input) {
  const auto& sandbox = *input.sandbox;
  if (input.from_owner != 0 && setns(input.owner_pidfd, static_cast<int>(input.from_owner)) != 0)
    return FailWithErrno("join the namespaces of the sandbox's user namespace");
  if (input.network_fd >= 0) {
    if (setns(input.network_fd, CLONE_NEWNET) != 0) return FailWithErrno("join network_namespace");
    RETURN_IF_ERROR(BringLoopbackUp());
  }
  if (sandbox.network() != spec::NODE && !sandbox.hostname().empty() &&
      sethostname(sandbox.hostname().data(), sandbox.hostname().size()) != 0)
    return FailWithErrno("set the hostname {}", sandbox.hostname());
  RETURN_IF_ERROR(ApplySysctls(sandbox));
  for (const char* name : {"mnt", "ipc", "uts"}) {
    ASSIGN_OR_RETURN(auto own, OpenOwnNamespace(name));
    RETURN_IF_ERROR(input.channel->SendDescriptor(name, own.get()));
  }
  return EnterSharedMemory(sandbox);
}

// The init of a shared pid namespace: adopts and reaps. Nothing in it is worth a look: an empty
// root, no descriptors, nobody's user, not dumpable; its program is the engine's sealed one.
[[noreturn]] void RunInit() {
  prctl(PR_SET_NAME, "pod-init");
  CloseDescriptorsExcept({});
  // A user namespace may be too small for nobody; its root is nobody outside.
  if ((setgid(kNobody) != 0 || setuid(kNobody) != 0) && errno != EINVAL) _exit(1);
  prctl(PR_SET_DUMPABLE, 0);
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child_signal, nullptr);
  while (true) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    sigwaitinfo(&child_signal, nullptr);
  }
}

// In the sandbox's user namespace: until its namespaces are pinned, or as their init.
int RunOwner(bool stays) {
  prctl(PR_SET_DUMPABLE, 0);
  setsid();
  CloseDescriptorsExcept({});
  if (stays) RunInit();
  while (true) pause();
}

int RunChild(const ChildInput& input, bool stays) {
  prctl(PR_SET_DUMPABLE, 0);
  setsid();
  CloseDescriptorsExcept({input.network_fd, input.owner_pidfd, input.channel->fd()});
  if (auto done = SetUp(input); !done) {
    // The parent sees the end of the stream if even this fails.
    return input.channel->SendFailed(done.error()) ? 1 : 2;
  }
  if (!input.channel->SendPrepared(spec::ResolvedUser())) return 2;
  if (stays) RunInit();
  return 0;
}

}  // namespace

Result<std::unique_ptr<SandboxNamespacesMaker>> SandboxNamespacesMaker::Start(
    EventLoop& loop, const spec::SandboxSpec& sandbox, Report done) {
  ASSIGN_OR_RETURN(auto ends, StageChannel::Make());
  std::unique_ptr<SandboxNamespacesMaker> maker(new SandboxNamespacesMaker(std::move(ends.parent)));
  maker->done_ = std::move(done);
  maker->keeps_init_ = sandbox.pid() == spec::POD;
  if (!sandbox.network_namespace().empty()) {
    ASSIGN_OR_RETURN(maker->made_.network, OpenNetworkNamespace(sandbox.network_namespace()));
  }
  uint64_t wanted = 0;
  if (sandbox.ipc() != spec::NODE) wanted |= CLONE_NEWIPC;
  if (sandbox.network() != spec::NODE) wanted |= CLONE_NEWUTS;
  if (maker->keeps_init_) wanted |= CLONE_NEWPID;
  const bool mapped = sandbox.has_user_namespace();
  if (mapped) RETURN_IF_ERROR(maker->CloneOwner(sandbox, wanted));
  const ChildInput input{&sandbox, maker->made_.network.get(), maker->owner_.pidfd.get(),
                         mapped ? wanted & kFromOwner : 0, &ends.child};
  const bool stays = maker->keeps_init_ && !mapped;
  ASSIGN_OR_RETURN(maker->child_, CloneProcess({.namespaces = CLONE_NEWNS | (mapped ? 0 : wanted)},
                                               [&input, stays] { return RunChild(input, stays); }));
  AbortStep();
  ASSIGN_OR_RETURN(maker->watch_,
                   loop.WatchFd(maker->channel_.fd(), EPOLLIN,
                                [raw = maker.get()](uint32_t) { raw->OnReadable(); }));
  return maker;
}

// Must be owned by the network namespace's: the kernel asks that of whoever mounts /sys or sets an
// address there.
Status SandboxNamespacesMaker::FindUserNamespace(const spec::SandboxSpec& sandbox) {
  if (!made_.network.valid()) {
    ASSIGN_OR_RETURN(made_.user, MakeUserNamespace(ToIdMaps(sandbox.user_namespace())));
    return {};
  }
  ASSIGN_OR_RETURN(made_.user, OwnerOfNamespace(made_.network.get()));
  ASSIGN_OR_RETURN(auto own, OpenFile("/proc/self/ns/user", O_RDONLY));
  struct stat its, ours;
  if (fstat(made_.user.get(), &its) != 0 || fstat(own.get(), &ours) != 0)
    return FailWithErrno("stat a user namespace");
  if (its.st_ino == ours.st_ino)
    return Fail(ErrorCode::kInvalidArgument,
                "network_namespace \"{}\" is the machine's, not of the sandbox's user namespace",
                sandbox.network_namespace());
  return {};
}

Status SandboxNamespacesMaker::CloneOwner(const spec::SandboxSpec& sandbox, uint64_t namespaces) {
  RETURN_IF_ERROR(FindUserNamespace(sandbox));
  ASSIGN_OR_RETURN(owner_, CloneProcess({.namespaces = namespaces}, {made_.user.get(), {}},
                                        [stays = keeps_init_] { return RunOwner(stays); }));
  auto checked = CheckIdMaps(owner_.pidfd.get(), ToIdMaps(sandbox.user_namespace()));
  if (!checked) return tl::unexpected(std::move(checked).error().While("user_namespace"));
  return {};
}

SandboxNamespacesMaker::~SandboxNamespacesMaker() {
  for (const auto* process : {&child_, &owner_})
    if (process->pidfd.valid()) KillAndReap(process->pidfd.get()).map_error([](const Error&) {});
}

void SandboxNamespacesMaker::OnReadable() {
  auto received = channel_.Receive();
  if (!received) {
    if (received.error().system_errno != EAGAIN)
      Finish(tl::unexpected(std::move(received).error()));
    return;
  }
  if (!*received) {
    Finish(Fail(ErrorCode::kInternal, "the sandbox's set-up ended without a report"));
    return;
  }
  auto accepted = Accept(std::move(**received));
  if (!accepted || prepared_) Finish(std::move(accepted));
}

Status SandboxNamespacesMaker::Accept(StageMessage message) {
  RETURN_IF_ERROR(order_.Received(message.kind));
  if (message.kind == StageMessage::Kind::kFailed) return tl::unexpected(std::move(message.error));
  if (message.kind == StageMessage::Kind::kPrepared) {
    prepared_ = true;
  } else if (message.name == "mnt") {
    made_.shared_memory = std::move(message.descriptor);
  } else if (message.name == "ipc") {
    made_.ipc = std::move(message.descriptor);
  } else if (message.name == "uts") {
    made_.uts = std::move(message.descriptor);
  }
  return {};
}

void SandboxNamespacesMaker::Finish(Status status) {
  watch_.Cancel();
  if (status && keeps_init_) made_.init = std::move(owner_.pidfd.valid() ? owner_ : child_);
  for (auto* process : {&child_, &owner_}) {
    if (!process->pidfd.valid()) continue;
    auto reaped = KillAndReap(process->pidfd.get());
    if (!reaped && status) status = tl::unexpected(std::move(reaped).error());
    process->pidfd.Reset();
  }
  AbortStep();
  auto done = std::move(done_);
  if (status) {
    done(std::move(made_));
  } else {
    done(tl::unexpected(std::move(status).error()));
  }
}

}  // namespace catamaran

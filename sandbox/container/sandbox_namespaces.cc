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
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/container/plan.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/proc_handle.h"

namespace catamaran {
namespace {

constexpr uint64_t kDefaultSharedMemory = 64 << 20;
constexpr uid_t kNobody = 65534;

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

// A tmpfs that is all this mount namespace holds.
Status EnterSharedMemory(uint64_t size_bytes) {
  const std::string size = std::to_string(size_bytes > 0 ? size_bytes : kDefaultSharedMemory);
  RETURN_IF_ERROR(LeavePeerGroups());
  ASSIGN_OR_RETURN(auto memory,
                   MakeFilesystem("tmpfs", {{"source", "shm"}, {"mode", "1777"}, {"size", size}},
                                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV));
  // Anywhere but on the root itself; nothing of it is seen again after the pivot.
  ASSIGN_OR_RETURN(auto target, OpenFile("/proc", O_PATH | O_DIRECTORY));
  RETURN_IF_ERROR(AttachMount(memory.get(), target.get()));
  return PivotRoot(memory.get());
}

struct ChildInput {
  const spec::SandboxSpec* sandbox;
  int network_fd;
  StageChannel* channel;
};

Status ApplySysctls(const spec::SandboxSpec& sandbox) {
  if (sandbox.sysctls().empty()) return {};
  ASSIGN_OR_RETURN(auto proc, ProcHandle::OpenPrivate());
  for (const auto& [name, value] : sandbox.sysctls()) {
    ASSIGN_OR_RETURN(const std::string path, SysctlPath(sandbox, name));
    if (auto written = proc.Write("sys/" + path, value); !written)
      return Fail(ErrorCode::kInvalidArgument, "sysctls \"{}\" = \"{}\": {}", name, value,
                  written.error().message);
  }
  return {};
}

Status SetUp(const ChildInput& input) {
  const auto& sandbox = *input.sandbox;
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
  return EnterSharedMemory(sandbox.shm_size_bytes());
}

// The init of a shared pid namespace: adopts and reaps. Nothing in it is worth a look: an empty
// root, no descriptors, nobody's user, not dumpable; its program is the engine's sealed one.
[[noreturn]] void RunInit() {
  prctl(PR_SET_NAME, "pod-init");
  CloseDescriptorsExcept({});
  if (setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(1);
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

int RunChild(const ChildInput& input, bool stays) {
  prctl(PR_SET_DUMPABLE, 0);
  setsid();
  CloseDescriptorsExcept({input.network_fd, input.channel->fd()});
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
  CloneOptions options;
  options.namespaces = CLONE_NEWNS;
  if (sandbox.ipc() != spec::NODE) options.namespaces |= CLONE_NEWIPC;
  if (sandbox.network() != spec::NODE) options.namespaces |= CLONE_NEWUTS;
  if (maker->keeps_init_) options.namespaces |= CLONE_NEWPID;
  const ChildInput input{&sandbox, maker->made_.network.get(), &ends.child};
  const bool stays = maker->keeps_init_;
  ASSIGN_OR_RETURN(maker->child_,
                   CloneProcess(options, [&input, stays] { return RunChild(input, stays); }));
  AbortStep();
  ASSIGN_OR_RETURN(maker->watch_,
                   loop.WatchFd(maker->channel_.fd(), EPOLLIN,
                                [raw = maker.get()](uint32_t) { raw->OnReadable(); }));
  return maker;
}

SandboxNamespacesMaker::~SandboxNamespacesMaker() {
  if (child_.pidfd.valid()) KillAndReap(child_.pidfd.get()).map_error([](const Error&) {});
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
  if (status && keeps_init_) {
    made_.init = std::move(child_);
  } else if (auto reaped = KillAndReap(child_.pidfd.get()); !reaped && status) {
    status = tl::unexpected(std::move(reaped).error());
  }
  child_.pidfd.Reset();
  AbortStep();
  auto done = std::move(done_);
  if (status) {
    done(std::move(made_));
  } else {
    done(tl::unexpected(std::move(status).error()));
  }
}

}  // namespace catamaran

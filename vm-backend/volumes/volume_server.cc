#include "vm-backend/volumes/volume_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm-backend/volumes/volume_control.h"
#include "vm-backend/volumes/volume_server_process.h"

namespace catamaran {
namespace {

// Ends with its parent, whatever ends that.
void DieWithParent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != parent) _exit(1);
}

[[noreturn]] void ServerChild(pid_t parent, UniqueFd stream, UniqueFd control) {
  DieWithParent(parent);
  prctl(PR_SET_NAME, "catamaran-vols", 0, 0, 0);
  signal(SIGPIPE, SIG_IGN);
  // Everything else that the shim holds stays with the shim.
  const int kept_stream = fcntl(stream.get(), F_DUPFD, 200);
  const int kept_control = fcntl(control.get(), F_DUPFD, 200);
  const int low = std::min(kept_stream, kept_control);
  const int high = std::max(kept_stream, kept_control);
  close_range(3, low - 1, 0);
  if (high - low > 1) close_range(low + 1, high - 1, 0);
  close_range(high + 1, ~0u, 0);
  fcntl(kept_stream, F_SETFD, FD_CLOEXEC);
  fcntl(kept_control, F_SETFD, FD_CLOEXEC);
  _exit(RunVolumeServer(UniqueFd(kept_stream), UniqueFd(kept_control)));
}

// A detached copy of the mount at the path: it has no parent, so ".." at its root leads nowhere.
// Returns the descriptor or -errno.
int DetachMount(const VolumeServer::Volume& volume) {
  const int fd = syscall(SYS_open_tree, AT_FDCWD, volume.path.c_str(),
                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (fd < 0) return -errno;
  mount_attr everywhere{};
  everywhere.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  everywhere.propagation = MS_SLAVE;
  if (volume.recursive_readonly) everywhere.attr_set |= MOUNT_ATTR_RDONLY;
  if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &everywhere,
              sizeof everywhere) != 0)
    return -errno;
  mount_attr top{};
  top.attr_set = MOUNT_ATTR_RDONLY;
  if (volume.readonly && syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &top, sizeof top) != 0)
    return -errno;
  return fd;
}

}  // namespace

VolumeServer::VolumeServer(EventLoop& loop, pid_t pid, UniqueFd pidfd, UniqueFd control,
                           Options options)
    : loop_(loop),
      pid_(pid),
      pidfd_(std::move(pidfd)),
      control_(std::move(control)),
      options_(std::move(options)) {}

Result<std::unique_ptr<VolumeServer>> VolumeServer::Start(EventLoop& loop, UniqueFd stream,
                                                          Options options) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
    return FailWithErrno("socketpair for the volume server");
  UniqueFd ours(sockets[0]), theirs(sockets[1]);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return FailWithErrno("fork the volume server");
  if (pid == 0) ServerChild(parent, std::move(stream), std::move(theirs));
  UniqueFd pidfd(syscall(SYS_pidfd_open, pid, 0));
  if (!pidfd.valid()) {
    const int problem = errno;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return FailErrno(problem, "pidfd_open the volume server");
  }
  std::unique_ptr<VolumeServer> server(
      new VolumeServer(loop, pid, std::move(pidfd), std::move(ours), std::move(options)));
  RETURN_IF_ERROR(server->Watch());
  return server;
}

Status VolumeServer::Watch() {
  ASSIGN_OR_RETURN(exit_watch_, loop_.WatchProcess(pidfd_.get(), [this] {
    waitid(P_PIDFD, pidfd_.get(), nullptr, WEXITED);
    pid_ = 0;
    answer_watch_.Cancel();
    while (!pending_.empty())
      Complete(pending_.begin()->first,
               Fail(ErrorCode::kUnavailable, "the volume server has ended"));
    if (options_.on_exit) options_.on_exit();
  }));
  ASSIGN_OR_RETURN(answer_watch_,
                   loop_.WatchFd(control_.get(), EPOLLIN, [this](uint32_t) { OnAnswer(); }));
  return {};
}

VolumeServer::~VolumeServer() {
  exit_watch_.Cancel();
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  waitid(P_PIDFD, pidfd_.get(), nullptr, WEXITED);
}

void VolumeServer::AddVolume(const Volume& volume, UniqueFunction<void(Result<std::string>)> done) {
  const uint64_t number = next_volume_++;
  Pending& pending = pending_[number];
  pending.done = std::move(done);
  pending.path = volume.path.string();
  if (pid_ == 0)
    return Complete(number, Fail(ErrorCode::kUnavailable, "the volume server has ended"));
  const pid_t parent = getpid();
  const pid_t opener = fork();
  if (opener < 0) return Complete(number, FailWithErrno("fork to open {}", volume.path.string()));
  if (opener == 0) {
    DieWithParent(parent);
    const int mount_fd = DetachMount(volume);
    if (mount_fd < 0) _exit(std::min(-mount_fd, 255));
    const VolumeCommand command{VolumeCommand::kAdd, 0, number};
    _exit(SendVolumeCommand(control_.get(), command, mount_fd) ? 0 : EIO);
  }
  pending.opener.Reset(syscall(SYS_pidfd_open, opener, 0));
  auto watch = loop_.WatchProcess(pending.opener.get(), [this, number] { OnOpenerExit(number); });
  if (!watch) return Complete(number, tl::unexpected(std::move(watch).error()));
  pending.opener_watch = std::move(watch).value();
}

// An opener that succeeded leaves the completion to the server's answer.
void VolumeServer::OnOpenerExit(uint64_t volume) {
  const auto found = pending_.find(volume);
  if (found == pending_.end()) return;
  siginfo_t info{};
  waitid(P_PIDFD, found->second.opener.get(), &info, WEXITED);
  if (info.si_code == CLD_EXITED && info.si_status == 0) return;
  const int problem = info.si_code == CLD_EXITED ? info.si_status : EIO;
  Complete(volume, FailErrno(problem, "open " + found->second.path + " as a volume"));
}

void VolumeServer::OnAnswer() {
  auto received = ReceiveVolumeCommand(control_.get());
  if (!received) {
    if (received.error().system_errno != EAGAIN) answer_watch_.Cancel();
    return;
  }
  const VolumeCommand& command = received->command;
  const auto found = pending_.find(command.volume);
  if (found == pending_.end()) return;
  // The opener has sent its message, so it is about to end.
  if (found->second.opener_watch.active()) {
    found->second.opener_watch.Cancel();
    waitid(P_PIDFD, found->second.opener.get(), nullptr, WEXITED);
  }
  Complete(command.volume, std::to_string(command.volume));
}

void VolumeServer::Complete(uint64_t volume, Result<std::string> result) {
  auto node = pending_.extract(volume);
  if (!node.empty()) node.mapped().done(std::move(result));
}

void VolumeServer::RemoveVolume(const std::string& name) {
  const VolumeCommand command{VolumeCommand::kRemove, 0, strtoull(name.c_str(), nullptr, 10)};
  // A server that is gone has no volumes.
  [[maybe_unused]] const auto sent = SendVolumeCommand(control_.get(), command);
}

}  // namespace catamaran

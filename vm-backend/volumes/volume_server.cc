#include "vm-backend/volumes/volume_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/volumes/server_confinement.h"
#include "vm-backend/volumes/volume_control.h"
#include "vm-backend/volumes/volume_server_process.h"

namespace catamaran {
namespace {

// `go` is readable once the child's ids are mapped, and closed where they could not be.
int ServerChild(UniqueFd stream, UniqueFd control, UniqueFd go) {
  prctl(PR_SET_NAME, "catamaran-vols", 0, 0, 0);
  signal(SIGPIPE, SIG_IGN);
  char told;
  if (read(go.get(), &told, 1) != 1) return 1;
  go.Reset();
  // Everything else that the shim holds stays with the shim, its log among it; but the numbers of
  // the standard streams must never be a volume's file.
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int standard : {0, 1, 2})
    if (dup2(null, standard) < 0) return 1;
  CloseDescriptorsExcept({0, 1, 2, stream.get(), control.get()});
  return RunVolumeServer(std::move(stream), std::move(control));
}

Result<ChildProcess> StartProcess(UniqueFd& stream, UniqueFd& control, bool user_namespace) {
  ASSIGN_OR_RETURN(Pipe go, MakePipe());
  const CloneOptions options{.namespaces = ServerNamespaces(kAllServerDefences, user_namespace),
                             .dies_with_parent = true};
  ASSIGN_OR_RETURN(ChildProcess process, CloneProcess(options, [&] {
                     go.write_end.Reset();
                     return ServerChild(std::move(stream), std::move(control),
                                        std::move(go.read_end));
                   }));
  if (user_namespace) {
    if (auto mapped = MapAllUsers(process.pid); !mapped) {
      (void)KillAndReap(process.pidfd.get());
      return tl::unexpected<Error>(std::move(mapped).error());
    }
  }
  RETURN_IF_ERROR(WriteAll(go.write_end.get(), "g"));
  return process;
}

// A detached copy of the mount at the path: it has no parent, so ".." at its root leads nowhere.
Result<UniqueFd> DetachMount(const VolumeServer::Volume& volume) {
  ASSIGN_OR_RETURN(UniqueFd mount,
                   CloneMount(AT_FDCWD, volume.path.string(), Recursion::kRecursive));
  const uint64_t everywhere =
      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (volume.recursive_readonly ? MOUNT_ATTR_RDONLY : 0);
  RETURN_IF_ERROR(SetMountAttributes(mount.get(), everywhere, Recursion::kRecursive));
  RETURN_IF_ERROR(SetMountPropagation(mount.get(), MS_SLAVE, Recursion::kRecursive));
  if (volume.readonly)
    RETURN_IF_ERROR(SetMountAttributes(mount.get(), MOUNT_ATTR_RDONLY, Recursion::kOne));
  return mount;
}

}  // namespace

VolumeServer::VolumeServer(EventLoop& loop, ChildProcess process, UniqueFd control, Options options)
    : loop_(loop),
      process_(std::move(process)),
      control_(std::move(control)),
      options_(std::move(options)) {}

Result<std::unique_ptr<VolumeServer>> VolumeServer::Start(EventLoop& loop, UniqueFd stream,
                                                          Options options) {
  ASSIGN_OR_RETURN(SocketPair control, MakeSocketPair(SOCK_SEQPACKET));
  auto process = StartProcess(stream, control.theirs, /*user_namespace=*/true);
  // Hosts may forbid user namespaces, or have used them up.
  if (!process) process = StartProcess(stream, control.theirs, /*user_namespace=*/false);
  if (!process) return tl::unexpected<Error>(std::move(process).error());
  std::unique_ptr<VolumeServer> server(
      new VolumeServer(loop, std::move(*process), std::move(control.ours), std::move(options)));
  RETURN_IF_ERROR(server->Watch());
  return server;
}

Status VolumeServer::Watch() {
  ASSIGN_OR_RETURN(exit_watch_, loop_.WatchProcess(process_.pidfd.get(), [this] {
    (void)ReapChild(process_.pidfd.get());
    ended_ = true;
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
  if (!ended_) (void)KillAndReap(process_.pidfd.get());
}

void VolumeServer::AddVolume(const Volume& volume, UniqueFunction<void(Result<std::string>)> done) {
  const uint64_t number = next_volume_++;
  Pending& pending = pending_[number];
  pending.done = std::move(done);
  if (ended_) return Complete(number, Fail(ErrorCode::kUnavailable, "the volume server has ended"));
  pending.opener = ChildTask::Start(
      loop_,
      [&volume, number, control = control_.get()]() -> Status {
        auto mount = DetachMount(volume);
        if (!mount)
          return tl::unexpected(std::move(mount).error().While(
              fmt::format("open {} as a volume", volume.path.string())));
        return SendVolumeCommand(control, {VolumeCommand::kAdd, 0, number}, mount->get());
      },
      [this, number](Status opened) {
        // The server's answer completes what was opened.
        if (!opened) Complete(number, tl::unexpected(std::move(opened).error()));
      });
}

void VolumeServer::OnAnswer() {
  auto received = ReceiveVolumeCommand(control_.get());
  if (!received) {
    if (received.error().system_errno != EAGAIN) answer_watch_.Cancel();
    return;
  }
  const VolumeCommand& command = received->command;
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

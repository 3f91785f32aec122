#include "vm-backend/volumes/volume_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/descriptor_task.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/volumes/server_confinement.h"
#include "vm-backend/volumes/volume_server_process.h"

namespace catamaran {
namespace {

constexpr char kHasEnded[] = "the volume server has ended";

// `go` is readable once the child's ids are mapped, and closed where they could not be.
int ServerChild(VolumeServerStart start, UniqueFd go) {
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
  std::vector<int> kept = {0, 1, 2, start.stream.get(), start.control.get()};
  for (const auto& volume : start.volumes) kept.push_back(volume.root.get());
  CloseDescriptorsExcept(std::move(kept));
  return RunVolumeServer(std::move(start));
}

// In the child of a clone: the same number, owned once more.
UniqueFd Inherited(const UniqueFd& fd) { return UniqueFd(fd.get()); }

// VolumeCommand::access.
uint32_t AccessOf(const VolumeServer::Volume& volume) {
  return (volume.readonly ? 1 : 0) | (volume.recursive_readonly ? 2 : 0);
}

// A detached copy of the mount at the path: it has no parent, so ".." at its root leads nowhere.
Result<UniqueFd> DetachMount(const VolumeServer::Volume& volume) {
  ASSIGN_OR_RETURN(UniqueFd mount,
                   CloneMount(AT_FDCWD, volume.path.string(), Recursion::kRecursive));
  const uint64_t everywhere =
      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (volume.recursive_readonly ? MOUNT_ATTR_RDONLY : 0);
  RETURN_IF_ERROR(SetMountAttributes(mount.get(), everywhere, Recursion::kRecursive));
  // What the host mounts there later shows, but not where all must be read-only: it would not be.
  RETURN_IF_ERROR(SetMountPropagation(
      mount.get(), volume.recursive_readonly ? MS_PRIVATE : MS_SLAVE, Recursion::kRecursive));
  if (volume.readonly)
    RETURN_IF_ERROR(SetMountAttributes(mount.get(), MOUNT_ATTR_RDONLY, Recursion::kOne));
  return mount;
}

}  // namespace

VolumeServer::VolumeServer(EventLoop& loop, UniqueFd stream, Options options)
    : loop_(loop), stream_(std::move(stream)), options_(std::move(options)) {}

Result<std::unique_ptr<VolumeServer>> VolumeServer::Start(EventLoop& loop, UniqueFd stream,
                                                          Options options) {
  std::unique_ptr<VolumeServer> server(
      new VolumeServer(loop, std::move(stream), std::move(options)));
  RETURN_IF_ERROR(server->StartProcess());
  return server;
}

Result<ChildProcess> VolumeServer::CloneServer(const UniqueFd& control, bool user_namespace) {
  ASSIGN_OR_RETURN(Pipe go, MakePipe());
  const CloneOptions clone{.namespaces = ServerNamespaces(kAllServerDefences, user_namespace),
                           .dies_with_parent = true};
  ASSIGN_OR_RETURN(
      ChildProcess process, CloneProcess(clone, [&] {
        go.write_end.Reset();
        VolumeServerStart start{
            Inherited(stream_), Inherited(control), options_.secret, incarnation_, {}};
        for (const auto& [number, volume] : volumes_)
          start.volumes.push_back({number, Inherited(volume.root), volume.watched, volume.access});
        return ServerChild(std::move(start), std::move(go.read_end));
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

Status VolumeServer::StartProcess() {
  ASSIGN_OR_RETURN(SocketPair control, MakeSocketPair(SOCK_SEQPACKET));
  auto process = CloneServer(control.theirs, /*user_namespace=*/true);
  // Hosts may forbid user namespaces, or have used them up.
  if (!process) process = CloneServer(control.theirs, /*user_namespace=*/false);
  if (!process) return tl::unexpected<Error>(std::move(process).error());
  process_ = std::move(*process);
  AbortStep();
  answer_watch_.Cancel();
  control_ = std::move(control.ours);
  unsent_.clear();
  ASSIGN_OR_RETURN(exit_watch_, loop_.WatchProcess(process_.pidfd.get(), [this] { OnExit(); }));
  ASSIGN_OR_RETURN(answer_watch_, loop_.WatchFd(control_.get(), EPOLLIN, [this](uint32_t events) {
    if ((events & EPOLLOUT) != 0) SendUnsent();
    if ((events & ~EPOLLOUT) != 0) OnAnswer();
  }));
  return {};
}

// A hostile guest that finds a way to end its server gets no more than this of them.
bool VolumeServer::MayRestart() {
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(restarts_, [&](auto then) { return now - then > std::chrono::minutes(1); });
  restarts_.push_back(now);
  return restarts_.size() <= kMostRestarts;
}

void VolumeServer::OnExit() {
  const auto end = ReapChild(process_.pidfd.get());
  const bool failed = end && *end && ((*end)->signal != 0 || (*end)->exit_code != 0);
  answer_watch_.Cancel();
  exit_watch_.Cancel();
  ++incarnation_;
  // The new one has what the former was given, and answers for what that one did not.
  const bool restarted = failed && MayRestart() && StartProcess();
  if (failed)
    fprintf(stderr, "catamaran-shim: a volume server ended with status %d%s\n", (*end)->exit_code,
            restarted ? "; another one serves on" : "");
  if (restarted) return;
  (void)KillAndReap(process_.pidfd.get());
  ended_ = true;
  std::vector<uint64_t> waiting;
  for (const auto& [number, pending] : pending_) waiting.push_back(number);
  for (const uint64_t number : waiting) Complete(number, Fail(ErrorCode::kUnavailable, kHasEnded));
  if (options_.on_exit) options_.on_exit();
}

VolumeServer::~VolumeServer() {
  exit_watch_.Cancel();
  if (!ended_) (void)KillAndReap(process_.pidfd.get());
}

void VolumeServer::AddVolume(const Volume& volume, UniqueFunction<void(Result<std::string>)> done) {
  const uint64_t number = next_volume_++;
  Pending& pending = pending_[number];
  pending.done = std::move(done);
  if (ended_) return Complete(number, Fail(ErrorCode::kUnavailable, kHasEnded));
  pending.opener = StartDescriptorTask(
      loop_,
      [volume]() -> Result<UniqueFd> {
        auto mount = DetachMount(volume);
        if (!mount)
          return tl::unexpected(std::move(mount).error().While(
              fmt::format("open {} as a volume", volume.path.string())));
        return mount;
      },
      [this, number, watched = volume.watched, access = AccessOf(volume)](Result<UniqueFd> mount) {
        Opened(number, {UniqueFd(), watched, access}, std::move(mount));
      });
}

// The server's answer completes what was opened: this one's, or that of the one started after it,
// which has this among its volumes.
void VolumeServer::Opened(uint64_t volume, Added added, Result<UniqueFd> mount) {
  if (!mount) return Complete(volume, tl::unexpected<Error>(std::move(mount).error()));
  if (ended_) return Complete(volume, Fail(ErrorCode::kUnavailable, kHasEnded));
  added.root = std::move(*mount);
  volumes_[volume] = std::move(added);
  AbortStep();
  TellOf(volume);
}

void VolumeServer::TellOf(uint64_t volume) {
  const Added& added = volumes_.at(volume);
  const auto kind = added.watched ? VolumeCommand::kAddWatched : VolumeCommand::kAdd;
  Tell({.kind = kind, .volume = volume, .access = added.access});
}

// In their order, each once: a remove must not overtake its add.
void VolumeServer::Tell(const VolumeCommand& command) {
  if (ended_) return;
  unsent_.push_back(command);
  SendUnsent();
}

void VolumeServer::SendUnsent() {
  while (!unsent_.empty()) {
    const VolumeCommand command = unsent_.front();
    unsent_.pop_front();
    const auto added = volumes_.find(command.volume);
    const bool is_add = command.kind != VolumeCommand::kRemove;
    // What was taken back before the server heard of it needs no add.
    if (is_add && added == volumes_.end()) continue;
    const int root = is_add ? added->second.root.get() : -1;
    auto sent = SendVolumeCommand(control_.get(), command, root);
    if (sent) continue;
    if (sent.error().system_errno == EAGAIN) {
      unsent_.push_front(command);
      break;
    }
    // EPIPE: it has ended, and the next one is started with all volumes. Otherwise an add fails; a
    // volume that could not be taken back stays open in this server.
    if (!is_add || sent.error().system_errno == EPIPE) continue;
    volumes_.erase(added);
    Complete(command.volume, tl::unexpected<Error>(std::move(sent).error()));
  }
  (void)answer_watch_.SetEvents(EPOLLIN | (unsent_.empty() ? 0u : EPOLLOUT));
}

// A server that says what it should not, or closes its end, is no use: its end brings a new one.
void VolumeServer::OnAnswer() {
  auto received = ReceiveVolumeCommand(control_.get());
  if (!received) {
    if (received.error().system_errno == EAGAIN) return;
    answer_watch_.Cancel();
    (void)SendSignal(process_.pidfd.get(), SIGKILL);
    return;
  }
  const VolumeCommand& command = received->command;
  if (pending_.count(command.volume) == 0 || volumes_.count(command.volume) == 0) return;
  if (command.problem == 0 && command.same_as != command.volume) {
    const auto same = volumes_.find(command.same_as);
    // It was taken back while the server answered.
    if (same == volumes_.end()) return TellOf(command.volume);
    ++same->second.users;
    volumes_.erase(command.volume);
  }
  if (command.problem == 0) return Complete(command.volume, std::to_string(command.same_as));
  volumes_.erase(command.volume);
  Complete(command.volume,
           FailErrno(command.problem, "the volume server cannot take another volume"));
}

void VolumeServer::Complete(uint64_t volume, Result<std::string> result) {
  auto node = pending_.extract(volume);
  if (!node.empty()) node.mapped().done(std::move(result));
}

void VolumeServer::RemoveVolume(const std::string& name) {
  const uint64_t volume = strtoull(name.c_str(), nullptr, 10);
  const auto found = volumes_.find(volume);
  if (found != volumes_.end() && --found->second.users > 0) return;
  volumes_.erase(volume);
  Tell({.kind = VolumeCommand::kRemove, .volume = volume});
}

}  // namespace catamaran

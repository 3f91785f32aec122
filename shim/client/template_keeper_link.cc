#include "shim/client/template_keeper_link.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "shim/client/shim_lock.h"
#include "shim/client/shim_spawn.h"

namespace catamaran {
namespace {

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Fail(ErrorCode::kInvalidArgument, "{}: longer than a socket's path may be", path);
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<UniqueFd> Connect(const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return FailWithErrno("socket");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return FailWithErrno("connect to {}", path);
  return fd;
}

// A socket of messages, not of bytes: that is what the keeper speaks.
Result<UniqueFd> Listen(const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return FailWithErrno("socket");
  RETURN_IF_ERROR(RemoveIfExists(path));
  if (fchmod(fd.get(), 0600) != 0) return FailWithErrno("fchmod of the socket of {}", path);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return FailWithErrno("bind {}", path);
  AbortStep();
  if (listen(fd.get(), 64) != 0) return FailWithErrno("listen on {}", path);
  return fd;
}

bool StillConnected(const UniqueFd& connection) {
  if (!connection.valid()) return false;
  pollfd state{connection.get(), POLLIN, 0};
  return poll(&state, 1, 0) == 0;
}

}  // namespace

Status TemplateKeeperLink::Ensure(const ShimPaths& paths, const HostPath& root) {
  std::lock_guard lock(mutex_);
  if (StillConnected(connection_)) return {};
  ASSIGN_OR_RETURN(const auto state, LookAtLock(paths));
  if (state.holder == ShimLockState::Holder::kNobody) RETURN_IF_ERROR(Start(paths, root));
  ASSIGN_OR_RETURN(connection_, Connect(paths.socket().string()));
  return {};
}

Status TemplateKeeperLink::Start(const ShimPaths& paths, const HostPath& root) {
  RETURN_IF_ERROR(MakeDirectories(paths.folder.value()));
  ASSIGN_OR_RETURN(auto keeper_lock, LockForShim(paths));
  ASSIGN_OR_RETURN(auto listener, Listen(paths.socket().string()));
  ASSIGN_OR_RETURN(
      auto process,
      SpawnProgram(program_, {"catamaran-shim", "keep-templates", "--root", root.string()},
                   {{listener.get(), kShimListenerFd}, {keeper_lock.get(), kShimLockFd}}));
  AbortStep();
  watcher_.ReapLater(std::move(process.pidfd));
  return {};
}

}  // namespace catamaran

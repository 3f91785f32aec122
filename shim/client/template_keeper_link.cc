#include "shim/client/template_keeper_link.h"

#include <poll.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"
#include "shim/client/shim_lock.h"
#include "shim/client/shim_spawn.h"

namespace catamaran {
namespace {

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
  ASSIGN_OR_RETURN(connection_, ConnectUnix(paths.socket().string(), SOCK_SEQPACKET));
  return {};
}

Status TemplateKeeperLink::Start(const ShimPaths& paths, const HostPath& root) {
  RETURN_IF_ERROR(MakeDirectories(paths.folder.value()));
  ASSIGN_OR_RETURN(auto keeper_lock, LockForShim(paths));
  ASSIGN_OR_RETURN(auto listener, ListenUnix(paths.socket().string(), SOCK_SEQPACKET));
  ASSIGN_OR_RETURN(
      auto process,
      SpawnProgram(program_, {"catamaran-shim", "keep-templates", "--root", root.string()},
                   {{listener.get(), kShimListenerFd}, {keeper_lock.get(), kShimLockFd}}));
  AbortStep();
  watcher_.ReapLater(std::move(process.pidfd));
  return {};
}

}  // namespace catamaran

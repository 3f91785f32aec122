#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/kernel/unix_socket.h"

namespace catamaran {

Status CheckPeer(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return FailWithErrno("SO_PEERCRED");
  if (peer.uid != 0 && peer.uid != geteuid())
    return Fail(ErrorCode::kPermissionDenied, "the peer runs as user {}", peer.uid);
  return {};
}

}  // namespace catamaran

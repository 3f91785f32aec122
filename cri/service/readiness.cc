#include "cri/service/readiness.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "sandbox/base/files.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

Status NotifyServiceManager(const std::string& state) {
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return {};
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const size_t length = strlen(path);
  if (length >= sizeof(address.sun_path) || (*path != '/' && *path != '@')) {
    return Fail(ErrorCode::kInvalidArgument,
                "NOTIFY_SOCKET: '{}' is wrong: must be an absolute path or @ and a name", path);
  }
  memcpy(address.sun_path, path, length);
  if (*path == '@') address.sun_path[0] = '\0';
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_fd.valid()) return FailWithErrno("make a socket for NOTIFY_SOCKET");
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (sendto(socket_fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    return FailWithErrno("notify {}", path);
  }
  return {};
}

Status NotifyReadyFd(int fd) {
  if (fd < 0) return {};
  UniqueFd owned(fd);
  return WriteAll(owned.get(), "READY=1\n");
}

}  // namespace catamaran

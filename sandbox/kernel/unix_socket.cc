#include "sandbox/kernel/unix_socket.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr int kBacklog = 64;

struct Address {
  UniqueFd folder;  // keeps the short form valid
  sockaddr_un value{};
};

Result<Address> MakeAddress(const std::string& path) {
  Address address;
  address.value.sun_family = AF_UNIX;
  std::string name = path;
  if (name.size() >= sizeof address.value.sun_path) {
    const std::filesystem::path full(path);
    ASSIGN_OR_RETURN(address.folder, OpenFile(full.parent_path(), O_PATH | O_DIRECTORY));
    name = fmt::format("/proc/self/fd/{}/{}", address.folder.get(), full.filename().string());
  }
  if (name.size() >= sizeof address.value.sun_path)
    return Fail(ErrorCode::kInvalidArgument, "socket name {} is too long", path);
  memcpy(address.value.sun_path, name.c_str(), name.size() + 1);
  return address;
}

Result<UniqueFd> MakeSocket(int type) {
  UniqueFd socket_fd(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_fd.valid()) return FailWithErrno("socket");
  return socket_fd;
}

// A message of one piece, with room for descriptors beside it.
struct OnePiece {
  OnePiece(const char* data, size_t size) : piece{const_cast<char*>(data), size} {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
  }
  iovec piece;
  msghdr message{};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptorsAtOnce * sizeof(int))];
};

}  // namespace

Result<SocketPair> MakeSocketPair(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) return FailWithErrno("socketpair");
  return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<UniqueFd> ListenUnix(const std::string& path, int type) {
  ASSIGN_OR_RETURN(auto address, MakeAddress(path));
  ASSIGN_OR_RETURN(auto socket_fd, MakeSocket(type));
  RETURN_IF_ERROR(RemoveIfExists(path));
  // The mode is that of the socket's inode before bind makes the file (unix(7), fchmod).
  if (fchmod(socket_fd.get(), 0600) != 0) return FailWithErrno("fchmod of the socket of {}", path);
  if (bind(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address.value),
           sizeof address.value) != 0)
    return FailWithErrno("bind {}", path);
  AbortStep();
  if (listen(socket_fd.get(), kBacklog) != 0) return FailWithErrno("listen on {}", path);
  return socket_fd;
}

Result<UniqueFd> ConnectUnix(const std::string& path, int type) {
  ASSIGN_OR_RETURN(auto address, MakeAddress(path));
  ASSIGN_OR_RETURN(auto socket_fd, MakeSocket(type));
  if (connect(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address.value),
              sizeof address.value) != 0)
    return FailWithErrno("connect to {}", path);
  return socket_fd;
}

Result<size_t> SendWithDescriptors(int socket, std::string_view data,
                                   std::span<const int> descriptors, int flags) {
  if (descriptors.size() > kMostDescriptorsAtOnce)
    return Fail(ErrorCode::kInvalidArgument, "{} descriptors in one message; {} are possible",
                descriptors.size(), kMostDescriptorsAtOnce);
  OnePiece one(data.data(), data.size());
  if (!descriptors.empty()) {
    one.message.msg_control = one.control;
    one.message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&one.message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &one.message, flags | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return FailWithErrno("send");
  return static_cast<size_t>(sent);
}

Result<ReceivedBytes> ReceiveWithDescriptors(int socket, std::span<char> buffer, size_t most,
                                             int flags) {
  OnePiece one(buffer.data(), buffer.size());
  one.message.msg_control = one.control;
  // Not CMSG_SPACE: with its padding the kernel passes one more than asked for where `most` is odd.
  one.message.msg_controllen = CMSG_LEN(std::min(most, kMostDescriptorsAtOnce) * sizeof(int));
  ssize_t count;
  do {
    count = recvmsg(socket, &one.message, flags | MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return FailWithErrno("receive");
  ReceivedBytes received;
  received.size = static_cast<size_t>(count);
  for (cmsghdr* header = CMSG_FIRSTHDR(&one.message); header != nullptr;
       header = CMSG_NXTHDR(&one.message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; at + sizeof(int) <= header->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
      received.descriptors.emplace_back(fd);
    }
  }
  if (one.message.msg_flags & MSG_CTRUNC)
    return Fail(ErrorCode::kResourceExhausted, "the peer passed more than {} descriptors", most);
  return received;
}

}  // namespace catamaran

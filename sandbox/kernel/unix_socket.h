#pragma once

#include <sys/socket.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// Sockets between the processes of one machine (unix(7)) and the descriptors that travel over them.
// Types are SOCK_STREAM or SOCK_SEQPACKET; every descriptor made or received here is close-on-exec.

struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};
// SOCK_NONBLOCK may be added to the type, for both ends.
Result<SocketPair> MakeSocketPair(int type);

// A listening socket at path, mode 0600; a file in the way is replaced. Paths longer than
// sun_path are bound through the folder's descriptor. Both block for the file system only; the
// descriptors do not block.
Result<UniqueFd> ListenUnix(const std::string& path, int type = SOCK_STREAM);
Result<UniqueFd> ConnectUnix(const std::string& path, int type = SOCK_STREAM);

// kPermissionDenied unless the peer runs as this process's user or as root (SO_PEERCRED).
Status CheckPeer(int socket);

// The kernel passes no more with one message (SCM_MAX_FD).
inline constexpr size_t kMostDescriptorsAtOnce = 253;

// One sendmsg(2), tried again where a signal interrupts it and never ended by SIGPIPE. The peer
// gets copies of the descriptors with the first byte. Returns how many bytes went: all of them with
// SOCK_SEQPACKET. system_errno EAGAIN where it would block; `flags` may be MSG_DONTWAIT.
Result<size_t> SendWithDescriptors(int socket, std::string_view data,
                                   std::span<const int> descriptors, int flags = 0);

struct ReceivedBytes {
  size_t size = 0;  // 0: the peer has closed its end
  std::vector<UniqueFd> descriptors;
};
// One recvmsg(2) into `buffer`, tried again where a signal interrupts it. A peer that passes more
// than `most` descriptors gets none of them in: kResourceExhausted. system_errno EAGAIN where there
// is nothing to read; `flags` may be MSG_DONTWAIT.
Result<ReceivedBytes> ReceiveWithDescriptors(int socket, std::span<char> buffer, size_t most,
                                             int flags = 0);

}  // namespace catamaran

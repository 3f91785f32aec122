#pragma once

#include <sys/socket.h>

#include "sandbox/protocol/message_channel.h"

namespace catamaran {

// A connected AF_UNIX stream socket: every message is a header (length, type, number of
// descriptors, stream) and a body; descriptors travel with the header's first byte (unix(7)).
Result<std::unique_ptr<MessageChannel>> MakeUnixChannel(EventLoop& loop, UniqueFd socket,
                                                        ChannelLimits limits = {});

// kPermissionDenied unless the peer runs as this process's user or as root (SO_PEERCRED).
Status CheckPeer(int socket);

// A listening socket at path, mode 0600; a file in the way is replaced. Paths longer than
// sun_path are bound through the folder's descriptor. Both block for the file system only. `type`
// is SOCK_STREAM or SOCK_SEQPACKET; the descriptors do not block.
Result<UniqueFd> ListenUnix(const std::string& path, int type = SOCK_STREAM);
Result<UniqueFd> ConnectUnix(const std::string& path, int type = SOCK_STREAM);

}  // namespace catamaran

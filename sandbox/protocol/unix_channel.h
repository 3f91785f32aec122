#pragma once

#include "sandbox/protocol/message_channel.h"

namespace catamaran {

// A connected AF_UNIX stream socket: every message is a header (length, type, number of
// descriptors, stream) and a body; descriptors travel with the header's first byte (unix(7)).
Result<std::unique_ptr<MessageChannel>> MakeUnixChannel(EventLoop& loop, UniqueFd socket,
                                                        ChannelLimits limits = {});

}  // namespace catamaran

#pragma once

#include "sandbox/protocol/message_channel.h"

namespace catamaran {

// Messages over a byte stream: a virtio-serial port, a unix socket to QEMU's end of one, a
// socketpair to a local agent.
//
// The client (the host) begins a session under a random 64-bit epoch and every frame of both sides
// carries it, so bytes that an earlier session left in the port are recognised and skipped, and
// what a container prints can never be taken for a frame. Until the server answers, the opening is
// repeated, preceded by enough zeros to end a frame that an earlier client left half-written. After
// that the client takes damage for malice and closes; the server, whose peer is trusted but may
// die in mid-frame, resynchronises.
struct StreamChannelOptions {
  enum class Role { kClient, kServer };
  Role role = Role::kServer;
  // What end of file means. A guest's port reads 0 bytes and polls as hung up while the host is
  // away: the channel then waits for the next connection without spinning.
  enum class AtEnd { kClosed, kPeerMayReturn };
  AtEnd at_end = AtEnd::kClosed;
  ChannelLimits limits;
};

// `write_end` is the same descriptor (invalid) or, for a pair of pipes, another one.
Result<std::unique_ptr<MessageChannel>> MakeStreamChannel(EventLoop& loop, UniqueFd stream,
                                                          StreamChannelOptions options,
                                                          UniqueFd write_end = UniqueFd());

}  // namespace catamaran

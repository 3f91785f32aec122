#pragma once

#include <cstdint>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// What the shim and its volume server say to each other, one SOCK_SEQPACKET message each. An add
// carries the volume's detached mount; of a watched one (a projected volume) the guest hears when
// names in its root change, and caches nothing. The server answers each add with the same message
// and how it went; a server that has just begun does so for every volume it began with.
struct VolumeCommand {
  enum Kind : uint32_t { kAdd = 1, kRemove = 2, kAddWatched = 3 };
  uint32_t kind = 0;
  int32_t problem = 0;  // in the server's answer to an add: errno, 0 for success
  uint64_t volume = 0;
  // In an add: what the guest may do there; volumes that differ in it are never one.
  uint32_t access = 0;
  uint32_t unused = 0;
  // In the answer: the volume that shows the same file or folder already, and that stands for this
  // one too; otherwise this one's own number.
  uint64_t same_as = 0;
};

// Sends one message, with a descriptor unless it is negative. Does not block: system_errno EAGAIN
// where the other end has not read what it was sent.
Status SendVolumeCommand(int socket, const VolumeCommand& command, int descriptor = -1);

struct ReceivedVolumeCommand {
  VolumeCommand command;
  UniqueFd descriptor;
};
// kUnavailable at the end of the connection; system_errno EAGAIN where there is nothing yet. Where
// this process could not take the descriptor (it has as many as it may) the command comes without
// it and with EMFILE as its problem.
Result<ReceivedVolumeCommand> ReceiveVolumeCommand(int socket);

}  // namespace catamaran

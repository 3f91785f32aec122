#pragma once

#include <cstdint>

#include "vm-backend/volumes/request_ledger.h"
#include "vm-backend/volumes/volume_channel.h"

namespace catamaran {

// What both processes of a pump are given.
struct PumpEnds {
  int fuse = -1;
  int port = -1;
  int changed = -1;
  RequestLedger* ledger = nullptr;
  const VolumeFraming* framing = nullptr;
  uint64_t session = 0;
};

// How they end; by a signal too.
enum PumpExit {
  kPumpUnmounted = 0,  // nobody uses the file system any more
  kPumpLost = 1,       // its place in the stream, or the port: to be started anew
};

// The bodies of the two, in freshly cloned children. PumpRequests begins the session: it says so,
// repeats INIT for a server that has not heard it, and answers with EIO what the sessions before
// left unanswered.
int PumpRequests(const PumpEnds& ends);
int PumpReplies(const PumpEnds& ends);

}  // namespace catamaran

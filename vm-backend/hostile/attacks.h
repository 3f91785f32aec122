#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

// The virtio-serial ports of the guest, open for as long as it runs.
struct GuestPorts {
  int agent = -1;
  int volumes = -1;
  std::string volume_secret;
};

// Carries out one attack, by name, and reports in lines "what result": result is an errno, or "ok".
//
//   fuse-names VOLUME TARGET   names that are none, links to TARGET on the host, forged numbers
//   fuse-race VOLUME ROUNDS    reads swap/secret as fast as it can; "saw" and what it read
//   fuse-flood VOLUME          requests without end, the answers not read; a mebibyte gets out
//   fuse-malformed LENGTH      one request that claims to be so long
//   fuse-endless KIBIBYTES     one request that goes on for so long
//   fuse-overread VOLUME NAME  a write to a new file that claims more bytes than it has
//   write-disk SERIAL          writes by every way there is to a disk
//   fill-memory                overwrites and discards all the memory it gets
//   flood-agent KIBIBYTES      noise on the channel to the shim
//   agent-events KIBIBYTES     whole messages of things that the shim never asked for, to it
//   agent-frame KIBIBYTES      one frame to it that goes on for so long
//   agent-message KIBIBYTES    one message to it that goes on for so long, frame by frame
//   flood-console KIBIBYTES    noise on the console
//
// Those on the agent's channel wait for the shim to ask something. May block for minutes: run it in
// a child of the agent.
Result<std::string> CarryOut(const std::vector<std::string>& words, const GuestPorts& ports);

}  // namespace catamaran

#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// The guest's end of the volume channel.
class GuestVolumes {
 public:
  virtual ~GuestVolumes() = default;

  // Mounts the channel's file system and starts the pump that feeds it. Called once, after a
  // restore, before the first container that needs it; `port` is the virtio-serial port.
  // Must not wait for the host's answer: nothing in the agent may look up a path below
  // mountpoint() except in a child.
  virtual Status Start(UniqueFd port) = 0;
  // Where it is mounted; a Mount's volume_path is relative to it.
  virtual GuestPath mountpoint() const = 0;
};

}  // namespace catamaran

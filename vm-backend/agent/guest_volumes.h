#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// The guest's end of volumes: the channel, and what is kept in the guest itself.
class GuestVolumes {
 public:
  virtual ~GuestVolumes() = default;

  // Mounts the channel's file system and starts the pump that feeds it. Called once, after a
  // restore, before the first container that needs it; `port` is the virtio-serial port, `secret`
  // what the host's end of it has too. Must not wait for the host's answer: nothing in the agent
  // may look up a path below the mount point except in a child.
  virtual Status Start(UniqueFd port, const std::string& secret) = 0;

  // Where a mount with a volume_path is to be mounted from, once it is prepared. `index` is its
  // place among its container's mounts.
  virtual GuestPath PathOf(const std::string& container, int index,
                           const spec::Mount& mount) const = 0;
  // Makes that ready. May block: for a child, which OnPrepared follows on the loop.
  virtual Status Prepare(const std::string& container, int index, const spec::Mount& mount) = 0;
  virtual void OnPrepared(const spec::Mount& mount) = 0;
  // Takes back what was prepared for a container, and what was begun. May block: for a child.
  virtual Status Release(const spec::ContainerSpec& container) = 0;
};

}  // namespace catamaran

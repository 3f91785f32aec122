#pragma once

#include <sys/types.h>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// The guest's half of volumes: mounts FUSE at `mountpoint` (a folder that exists) and starts the
// pump, two small processes that carry /dev/fuse to the port and back. They are processes of
// their own, never out-of-memory-killed, with their memory locked: an agent that pumped itself
// would wait for itself at its first path lookup there.
//
// `port` is the second virtio-serial port (or a stream socket in tests). Forks, so the calling
// process must have one thread. The pump ends when the file system is unmounted or the port is
// gone for good.
struct VolumePump {
  pid_t requests = 0;  // /dev/fuse -> port
  pid_t replies = 0;   // port -> /dev/fuse
};
Result<VolumePump> StartVolumePump(UniqueFd port, const GuestPath& mountpoint);

}  // namespace catamaran

#pragma once

#include <sys/types.h>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "shim/client/shim_client.h"

namespace catamaran {

// How one knows that a shim lives: its lock file, whatever it answers. Two locks in turn:
//
// - The daemon opens the file, takes flock(2) and hands the open file to the process it spawns. An
//   flock belongs to the open file, so there is no moment without a holder.
// - Every child of the shim inherits that open file, though, until it executes something: a
//   container's first process would keep a dead shim's flock. So the shim first takes a record
//   lock (fcntl(2), F_SETLK), which belongs to the process alone and names it, then lets go of the
//   flock.
//
// Whoever asks looks at the flock first and at the record lock second, so a hand-over in between is
// never missed. The shim must not open the file again: closing any descriptor of it would free the
// record lock.

// Daemon: creates the file and takes the flock. kAlreadyExists where a shim lives.
Result<UniqueFd> LockForShim(const ShimPaths& paths);

// Shim: takes the lock over on the inherited descriptor.
Status TakeOverLock(int fd);

struct ShimLockState {
  enum class Holder { kNobody, kStarting, kShim };
  Holder holder = Holder::kNobody;
  pid_t shim = 0;  // with kShim
};
Result<ShimLockState> LookAtLock(const ShimPaths& paths);

}  // namespace catamaran

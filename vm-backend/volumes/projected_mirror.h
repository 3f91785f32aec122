#pragma once

#include <cstdint>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// What a projected volume (ConfigMap, Secret, token, downward API) may hold. A ConfigMap or a
// Secret is at most 1 MiB, and a projected volume joins some; the copy is the guest's memory.
struct MirrorLimits {
  uint64_t bytes = 16 << 20;
  uint32_t entries = 4096;
};

// Brings `target`, a folder of ours, up to what `source` shows: a folder that the kubelet's atomic
// writer writes. There "..data" is a link to the current folder, swapped by a rename, and every
// other name a link into "..data". The same is done here, so that a reader sees the old files or
// the new ones and never some of both, and a watch of `target` (inotify(7)) sees "..data" moved to:
// the current folder is copied with owners, modes and times, "..data" is swapped, the names follow,
// the former folder is removed. Does nothing where nothing changed. A swap on the host during the
// copy begins it anew.
//
// May block; one caller at a time for a target (it takes a lock). Errors: kResourceExhausted beyond
// the limits, kFailedPrecondition where the source is no such folder or keeps changing; the target
// then stays as it was.
Status MirrorProjected(const GuestPath& source, const GuestPath& target,
                       const MirrorLimits& limits = {});

}  // namespace catamaran

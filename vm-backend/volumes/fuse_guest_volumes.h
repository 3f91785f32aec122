#pragma once

#include <memory>

#include "sandbox/kernel/event_loop.h"
#include "vm-backend/agent/guest_volumes.h"

namespace catamaran {

// GuestVolumes by FUSE and the pump of volume_pump.h, with folders below `base`, which it makes.
// The loop brings the pump back where it ends.
std::unique_ptr<GuestVolumes> MakeFuseGuestVolumes(EventLoop& loop, const GuestPath& base);

}  // namespace catamaran

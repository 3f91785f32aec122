#pragma once

#include <memory>

#include "vm-backend/agent/guest_volumes.h"

namespace catamaran {

// GuestVolumes by FUSE and the pump of volume_pump.h, mounted at `mountpoint`, which it makes.
std::unique_ptr<GuestVolumes> MakeFuseGuestVolumes(const GuestPath& mountpoint);

}  // namespace catamaran

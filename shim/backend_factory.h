#pragma once

#include <memory>
#include <string>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// The backend of a handler's hull: "ns", "vm" or, for tests, "fake". The one place where a shim
// learns what is behind the seam.
Result<std::unique_ptr<SandboxBackend>> MakeBackend(const std::string& hull, EventLoop& loop);

}  // namespace catamaran

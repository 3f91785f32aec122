#pragma once

#include "sandbox/base/unique_fd.h"

namespace catamaran {

// The body of the volume server, called in a freshly cloned child (ServerNamespaces) that owns
// nothing but these two descriptors. Confines itself (ConfineServer), then serves until either end
// closes. Returns the exit code.
int RunVolumeServer(UniqueFd stream, UniqueFd control);

}  // namespace catamaran

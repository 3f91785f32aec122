#pragma once

#include "sandbox/base/unique_fd.h"

namespace catamaran {

// The body of the volume server, called in a freshly forked child that owns nothing but these two
// descriptors. Confines itself (namespaces of its own, an empty root, no capability but those that
// file ownership needs), then serves until either end closes. Returns the exit code.
int RunVolumeServer(UniqueFd stream, UniqueFd control);

}  // namespace catamaran

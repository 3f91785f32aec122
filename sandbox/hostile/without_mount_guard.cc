// Anything is mounted over /proc. Linked in the place of mount_guard.cc, into a test.
#include "sandbox/container/mount_guard.h"

namespace catamaran {

Status CheckMountTarget(const std::string&, const std::string&) { return {}; }

Status CheckMountPoint(const PlannedMount&, int, int) { return {}; }

}  // namespace catamaran

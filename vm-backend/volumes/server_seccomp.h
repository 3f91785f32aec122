#pragma once

#include "sandbox/base/result.h"

namespace catamaran {

// From now on this process can make only the system calls that a volume server makes: on files it
// has open or that lie one component below a folder it has open, on its two channels, on its own
// memory. All others fail with EPERM, those of another architecture kill it. Memory cannot be made
// executable. Needs no_new_privs.
Status InstallServerFilter();

}  // namespace catamaran

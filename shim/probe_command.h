#pragma once

#include "sandbox/base/result.h"

namespace catamaran {

// catamaran-shim probe --of host|ns|vm [...]: what this host can do for the shims of a hull, or for
// all of them, printed as findings, one line of JSON each, as they come. For `catamaran doctor`,
// and for people. `argv` is the program's. kInvalidArgument for wrong flags; what is found is never
// an error.
Status RunProbeCommand(int argc, char** argv);

}  // namespace catamaran

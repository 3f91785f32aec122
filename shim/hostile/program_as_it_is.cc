// Shims run from their file. Linked in the place of shim_program.cc, into a test.
#include <fcntl.h>

#include "sandbox/base/files.h"
#include "shim/client/shim_spawn.h"

namespace catamaran {

Result<UniqueFd> OpenProgramForShims(const std::string& path) { return OpenFile(path, O_RDONLY); }

Result<UniqueFd> OpenOnReadonlyMount(const std::string& path) { return OpenFile(path, O_RDONLY); }

}  // namespace catamaran

#include "shim/left_hooks_command.h"

#include <unistd.h>

#include <cstdlib>

#include "sandbox/base/files.h"
#include "sandbox/container/hooks.h"

namespace catamaran {

Status RunLeftHooksCommand(int argc, char** argv) {
  if (argc != 4)
    return Fail(ErrorCode::kInvalidArgument, "left-hooks: STATE_DIRECTORY and SECONDS are needed");
  const auto deadline = Deadline::After(std::chrono::seconds(atoi(argv[3])));
  return WriteAll(STDOUT_FILENO, RunLeftHooks(std::string(argv[2]) + "/bundles", deadline));
}

}  // namespace catamaran

// Nobody looks where the working directory is. Linked in the place of working_directory.cc, into a
// test.
#include <unistd.h>

#include "sandbox/container/process_steps.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {

Result<UniqueFd> OpenWorkingDirectory(int root_fd, const std::string& cwd) {
  return OpenOrCreateInRoot(root_fd, cwd.empty() ? "/" : cwd, TargetKind::kDirectory);
}

Status EnterWorkingDirectory(int folder_fd) {
  if (fchdir(folder_fd) != 0) return FailWithErrno("enter process.cwd");
  return {};
}

}  // namespace catamaran

#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "sandbox/container/process_steps.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {

Result<UniqueFd> OpenWorkingDirectory(int root_fd, const std::string& cwd) {
  auto folder = OpenOrCreateInRoot(root_fd, cwd.empty() ? "/" : cwd, TargetKind::kDirectory);
  if (!folder)
    return Fail(ErrorCode::kInvalidArgument, "process.cwd \"{}\": {}", cwd, folder.error().message);
  return folder;
}

Status EnterWorkingDirectory(int folder_fd) {
  if (fchdir(folder_fd) != 0) return FailWithErrno("enter process.cwd");
  char path[PATH_MAX];
  if (syscall(SYS_getcwd, path, sizeof path) < 0)
    return Fail(ErrorCode::kInvalidArgument, "process.cwd: {}", strerror(errno));
  // The kernel says "(unreachable)/..." of a folder that is not below the root.
  if (path[0] != '/')
    return Fail(ErrorCode::kInvalidArgument, "process.cwd is outside the container");
  return {};
}

}  // namespace catamaran

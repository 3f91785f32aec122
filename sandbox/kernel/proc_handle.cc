#include "sandbox/kernel/proc_handle.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sandbox/kernel/mounts.h"

namespace catamaran {

Result<ProcHandle> ProcHandle::OpenPrivate() {
  ASSIGN_OR_RETURN(auto root, MakeFilesystem("proc", {}, 0));
  return ProcHandle(std::move(root));
}

Status ProcHandle::Write(const std::string& path, std::string_view value) const {
  open_how how{};
  how.flags = O_WRONLY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  UniqueFd file(
      static_cast<int>(syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how)));
  if (!file.valid()) return FailWithErrno("open /proc/{}", path);
  struct statfs status;
  if (fstatfs(file.get(), &status) != 0) return FailWithErrno("statfs /proc/{}", path);
  if (status.f_type != PROC_SUPER_MAGIC)
    return Fail(ErrorCode::kInternal, "/proc/{} is not procfs", path);
  if (write(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()))
    return FailWithErrno("write \"{}\" to /proc/{}", value, path);
  return {};
}

}  // namespace catamaran

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "sandbox/base/files.h"
#include "sandbox/kernel/mounts.h"
#include "shim/client/shim_spawn.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U  // Linux 6.3
#endif

namespace catamaran {
namespace {

Result<UniqueFd> MakeMemfd() {
  const char* name = "catamaran-shim";
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  // A kernel that does not know the flag makes every memfd executable.
  if (fd < 0 && errno == EINVAL) fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return FailWithErrno("memfd_create");
  return UniqueFd(fd);
}

Status CopyAndSeal(int from, int to) {
  while (true) {
    const ssize_t count = sendfile(to, from, nullptr, 16 << 20);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailWithErrno("copy the shim's program");
    if (count == 0) break;
  }
  if (fchmod(to, 0500) != 0) return FailWithErrno("fchmod of the shim's program");
  if (fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return FailWithErrno("seal the shim's program");
  // A writable descriptor cannot be executed (ETXTBSY), sealed or not.
  return {};
}

}  // namespace

Result<UniqueFd> OpenOnReadonlyMount(const std::string& path) {
  ASSIGN_OR_RETURN(auto mount, CloneMount(AT_FDCWD, path, Recursion::kOne));
  RETURN_IF_ERROR(SetMountAttributes(mount.get(), MOUNT_ATTR_RDONLY, Recursion::kOne));
  // What is opened keeps its mount, attached or not.
  return OpenFile(fmt::format("/proc/self/fd/{}", mount.get()), O_RDONLY);
}

Result<UniqueFd> OpenProgramForShims(const std::string& path) {
  ASSIGN_OR_RETURN(auto file, OpenFile(path, O_RDONLY));
  auto memfd = MakeMemfd();
  if (!memfd) {
    if (memfd.error().system_errno == EACCES) return OpenOnReadonlyMount(path);  // memfd_noexec=2
    return tl::unexpected(std::move(memfd).error());
  }
  RETURN_IF_ERROR(CopyAndSeal(file.get(), memfd->get()));
  // Executed through a descriptor that never could write.
  return OpenFile(fmt::format("/proc/self/fd/{}", memfd->get()), O_RDONLY);
}

}  // namespace catamaran

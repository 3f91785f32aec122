#include "sandbox/container/image_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLargestFile = 1 << 20;

}  // namespace

// It is looked at by O_PATH first, as opening a FIFO waits and opening a device may do anything.
Result<std::string> ReadImageFile(int rootfs_fd, const char* path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  int opened = -1;
  // EAGAIN: a rename happened while the kernel looked for "..", see openat2(2).
  for (int attempt = 0; attempt < 128; ++attempt) {
    opened = static_cast<int>(syscall(SYS_openat2, rootfs_fd, path, &how, sizeof how));
    if (opened >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  if (opened < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::string();
  if (opened < 0) return FailWithErrno("open /{} of the image", path);
  const UniqueFd handle(opened);
  struct stat status;
  if (fstat(handle.get(), &status) != 0) return FailWithErrno("stat /{} of the image", path);
  if (!S_ISREG(status.st_mode))
    return Fail(ErrorCode::kInvalidArgument, "/{} of the image is not a regular file", path);
  ASSIGN_OR_RETURN(const auto file,
                   OpenFile(fmt::format("/proc/self/fd/{}", handle.get()), O_RDONLY | O_NONBLOCK));
  auto content = ReadAll(file.get(), kLargestFile);
  if (!content && content.error().code == ErrorCode::kOutOfRange)
    return Fail(ErrorCode::kInvalidArgument, "/{} of the image is larger than 1 MiB", path);
  return content;
}

}  // namespace catamaran

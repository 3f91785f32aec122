#include "vm-backend/host/sparse_clone.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

Status CopyRange(int from, int to, off_t start, off_t end) {
  while (start < end) {
    off_t in = start, out = start;
    ssize_t count = copy_file_range(from, &in, to, &out, static_cast<size_t>(end - start), 0);
    if (count < 0 &&
        (errno == EXDEV || errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS)) {
      // Older kernels copy within one file system only.
      if (lseek(to, start, SEEK_SET) < 0) return FailWithErrno("seek");
      off_t position = start;
      count = sendfile(to, from, &position, static_cast<size_t>(end - start));
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailWithErrno("copy {} bytes at {}", end - start, start);
    if (count == 0) return Fail(ErrorCode::kDataLoss, "the file ends at {}, not {}", start, end);
    start += count;
  }
  return {};
}

Status CopyData(int from, int to, off_t size) {
  for (off_t position = 0; position < size;) {
    const off_t data = lseek(from, position, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return {};  // only a hole is left
    if (data < 0) return FailWithErrno("find data after {}", position);
    const off_t hole = lseek(from, data, SEEK_HOLE);
    if (hole < 0) return FailWithErrno("find the hole after {}", data);
    RETURN_IF_ERROR(CopyRange(from, to, data, hole));
    position = hole;
  }
  return {};
}

}  // namespace

Status CloneSparse(const HostPath& source, const HostPath& target) {
  ASSIGN_OR_RETURN(UniqueFd from, OpenFile(source.value(), O_RDONLY));
  struct stat status {};
  if (fstat(from.get(), &status) != 0) return FailWithErrno("stat {}", source.string());
  ASSIGN_OR_RETURN(UniqueFd to, OpenFile(target.value(), O_RDWR | O_CREAT | O_EXCL, 0600));
  AbortStep();
  Cleanup undo([&] { unlink(target.c_str()); });
  if (ioctl(to.get(), FICLONE, from.get()) != 0) {
    if (ftruncate(to.get(), status.st_size) != 0)
      return FailWithErrno("set the size of {}", target.string());
    if (auto copied = CopyData(from.get(), to.get(), status.st_size); !copied)
      return tl::unexpected<Error>(std::move(copied).error().While(
          fmt::format("clone {} to {}", source.string(), target.string())));
  }
  undo.Dismiss();
  return {};
}

}  // namespace catamaran

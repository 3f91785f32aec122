#include "shim/client/shim_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

struct flock WholeFile(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

Result<ShimLockState> LookAtLock(const ShimPaths& paths) {
  auto file = OpenFile(paths.lock().value(), O_RDWR);
  if (!file && file.error().system_errno == ENOENT) return ShimLockState{};
  if (!file) return tl::unexpected(std::move(file).error());
  using Holder = ShimLockState::Holder;
  // Shared: two who ask at the same time do not take each other for the shim.
  const bool flock_is_free = flock(file->get(), LOCK_SH | LOCK_NB) == 0;
  if (!flock_is_free && errno != EWOULDBLOCK)
    return FailWithErrno("flock {}", paths.lock().string());
  struct flock lock = WholeFile(F_WRLCK);
  if (fcntl(file->get(), F_GETLK, &lock) != 0)
    return FailWithErrno("F_GETLK {}", paths.lock().string());
  if (lock.l_type != F_UNLCK) return ShimLockState{Holder::kShim, lock.l_pid};
  return ShimLockState{flock_is_free ? Holder::kNobody : Holder::kStarting, 0};
}

Result<UniqueFd> LockForShim(const ShimPaths& paths) {
  ASSIGN_OR_RETURN(auto file, OpenFile(paths.lock().value(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  AbortStep();
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return FailWithErrno("flock {}", paths.lock().string());
    return Fail(ErrorCode::kAlreadyExists, "{} is held by a shim that starts",
                paths.lock().string());
  }
  struct flock lock = WholeFile(F_WRLCK);
  if (fcntl(file.get(), F_GETLK, &lock) != 0)
    return FailWithErrno("F_GETLK {}", paths.lock().string());
  if (lock.l_type != F_UNLCK)
    return Fail(ErrorCode::kAlreadyExists, "{} is held by process {}", paths.lock().string(),
                lock.l_pid);
  return file;
}

Status TakeOverLock(int fd) {
  struct flock lock = WholeFile(F_WRLCK);
  if (fcntl(fd, F_SETLK, &lock) != 0) return FailWithErrno("take the shim's lock");
  if (flock(fd, LOCK_UN) != 0) return FailWithErrno("release the daemon's lock");
  return {};
}

}  // namespace catamaran

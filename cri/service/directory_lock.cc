#include "cri/service/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <thread>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLongestNote = 4096;
constexpr std::string_view kAddress = "unix://";
constexpr auto kPollInterval = std::chrono::milliseconds(20);

HostPath LockFile(const HostPath& directory) { return directory / "lock"; }

}  // namespace

Result<DirectoryLock> DirectoryLock::Take(const HostPath& directory, const std::string& note,
                                          Deadline deadline) {
  ASSIGN_OR_RETURN(auto file,
                   OpenFile(LockFile(directory).value(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return FailWithErrno("lock {}", LockFile(directory).string());
    const std::string holder = Holder(directory).value_or("");
    if (deadline.expired() || holder.starts_with(kAddress)) {
      return Fail(ErrorCode::kFailedPrecondition, "{} is in use by {}", directory.string(),
                  holder.empty() ? "another process" : holder);
    }
    std::this_thread::sleep_for(kPollInterval);  // flock(2) has no timeout
  }
  if (ftruncate(file.get(), 0) != 0) {
    return FailWithErrno("truncate {}", LockFile(directory).string());
  }
  RETURN_IF_ERROR(WriteAll(file.get(), note));
  return DirectoryLock(std::move(file));
}

Result<std::string> DirectoryLock::Holder(const HostPath& directory) {
  return ReadFile(LockFile(directory).value(), kLongestNote);
}

}  // namespace catamaran

#include "cri/network/cni/plugin_guard.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <thread>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kStrayPatience{5};
constexpr std::chrono::milliseconds kLockInterval{20};

// Where a descriptor leads, without touching what is there: that may be a disk that hangs.
std::string TargetOf(const std::filesystem::path& descriptor) {
  std::error_code error;
  return std::filesystem::read_symlink(descriptor, error);
}

// Processes that end meanwhile have nothing open.
bool HasOpen(const std::filesystem::path& process, const std::string& target) {
  const auto descriptors = ListDirectory(process / "fd");
  return descriptors && std::any_of(descriptors->begin(), descriptors->end(), [&](const auto& one) {
           return TargetOf(process / "fd" / one) == target;
         });
}

Status KillHolders(int fd) {
  const std::string target = TargetOf(fmt::format("/proc/self/fd/{}", fd));
  ASSIGN_OR_RETURN(const auto processes, ListDirectory("/proc"));
  for (const auto& name : processes) {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || *end != '\0' || pid == getpid()) continue;
    // Opened before the look, so that it is the looked-at process that is killed.
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (pidfd.valid() && HasOpen(std::filesystem::path("/proc") / name, target))
      (void)syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  }
  return {};
}

bool WaitForLock(int fd, Deadline deadline) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (deadline.expired()) return false;
    std::this_thread::sleep_for(kLockInterval);
  }
  return true;
}

}  // namespace

Result<PluginGuard> PluginGuard::Begin(const HostPath& file) {
  RETURN_IF_ERROR(RemoveIfExists(file.value()));
  ASSIGN_OR_RETURN(auto fd, OpenFile(file.value(), O_RDWR | O_CREAT | O_EXCL, 0600));
  AbortStep();
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return FailWithErrno("lock {}", file.string());
  return PluginGuard(file, std::move(fd));
}

PluginGuard::~PluginGuard() {
  if (fd_.valid()) (void)RemoveIfExists(file_.value());
}

Status EndStrayPlugins(const HostPath& file, Deadline deadline) {
  if (!Exists(file.value())) return {};
  ASSIGN_OR_RETURN(const auto fd, OpenFile(file.value(), O_RDWR));
  if (!WaitForLock(fd.get(), deadline.Earlier(Deadline::After(kStrayPatience)))) {
    RETURN_IF_ERROR(KillHolders(fd.get()));
    if (!WaitForLock(fd.get(), Deadline::After(kStrayPatience)))
      return Fail(ErrorCode::kDeadlineExceeded,
                  "plugins that an earlier daemon started do not end though killed");
  }
  RETURN_IF_ERROR(RemoveIfExists(file.value()));
  AbortStep();
  return {};
}

}  // namespace catamaran

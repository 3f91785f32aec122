#include "e2e/harness/executed_programs.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace catamaran::e2e {

bool ExecutedProgram::Is(const std::string& path) const {
  struct stat file {};
  return stat(path.c_str(), &file) == 0 && file.st_dev == device && file.st_ino == inode;
}

Result<ExecutedPrograms> ExecutedPrograms::Watch() {
  UniqueFd events(fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE,
                                O_RDONLY | O_CLOEXEC | O_LARGEFILE));
  if (!events.valid()) return FailWithErrno("fanotify_init");
  if (fanotify_mark(events.get(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC, AT_FDCWD,
                    "/") != 0)
    return FailWithErrno("watch the root file system");
  return ExecutedPrograms(std::move(events));
}

Result<std::vector<ExecutedProgram>> ExecutedPrograms::Take() {
  std::vector<ExecutedProgram> programs;
  alignas(fanotify_event_metadata) char buffer[16 << 10];
  for (;;) {
    ssize_t size = read(events_.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EAGAIN) return programs;
    if (size <= 0) return FailWithErrno("read of fanotify events");
    for (auto* event = reinterpret_cast<fanotify_event_metadata*>(buffer);
         FAN_EVENT_OK(event, size); event = FAN_EVENT_NEXT(event, size)) {
      const UniqueFd file(event->fd);
      if (event->pid == 0 || !file.valid()) continue;  // a process of another pid namespace
      struct stat status {};
      std::error_code error;
      if (fstat(file.get(), &status) != 0) return FailWithErrno("fstat of a program");
      programs.push_back(
          {std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file.get()), error),
           status.st_dev, status.st_ino});
    }
  }
}

}  // namespace catamaran::e2e

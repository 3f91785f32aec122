// Paths of a container are looked at first, then opened by the name that was found: right until
// somebody changes the folders in between. Linked in the place of safe_path.cc, into a test.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <deque>
#include <filesystem>

#include "sandbox/base/files.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

// Follows every link below the root; what is returned has none.
Result<fs::path> Resolve(const fs::path& root, std::string_view path) {
  std::deque<fs::path> names;
  const auto prepend = [&names](const fs::path& more) {
    names.insert(names.begin(), more.begin(), more.end());
  };
  prepend(std::string(path));
  fs::path below;
  for (int links = 0; !names.empty();) {
    const fs::path name = names.front();
    names.pop_front();
    if (name == "/") below.clear();
    if (name == "/" || name == "." || name.empty()) continue;
    if (name == "..") {
      below = below.parent_path();
      continue;
    }
    std::error_code none;
    const fs::path target = fs::read_symlink(root / below / name, none);
    if (target.empty()) {
      below /= name;
    } else if (++links > 40) {
      return FailErrno(ELOOP, std::string(path));
    } else {
      prepend(target);
    }
  }
  return root / below;
}

fs::path RootPath(int root_fd) { return fmt::format("/proc/self/fd/{}", root_fd); }

}  // namespace

Result<UniqueFd> OpenInRoot(int root_fd, std::string_view path, int flags) {
  ASSIGN_OR_RETURN(const auto found, Resolve(RootPath(root_fd), path));
  return OpenFile(found, flags);
}

Result<UniqueFd> OpenOrCreateInRoot(int root_fd, std::string_view path, TargetKind kind) {
  ASSIGN_OR_RETURN(const auto found, Resolve(RootPath(root_fd), path));
  fs::path made;
  for (const auto& part : kind == TargetKind::kFile ? found.parent_path() : found) {
    made /= part;
    mkdir(made.c_str(), 0755);
  }
  if (kind == TargetKind::kFile) return OpenFile(found, O_RDONLY | O_CREAT, 0644);
  return OpenFile(found, O_PATH);
}

Result<UniqueFd> OpenOrCreateRealDirectory(int root_fd, const std::string& name) {
  return OpenOrCreateInRoot(root_fd, name, TargetKind::kDirectory);
}

}  // namespace catamaran

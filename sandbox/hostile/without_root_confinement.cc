// Paths of a container resolved as strings. Linked in the place of safe_path.cc, into a test.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/base/files.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

std::string HostPath(int root_fd, std::string_view path) {
  return fmt::format("/proc/self/fd/{}/{}", root_fd, path);
}

}  // namespace

Result<UniqueFd> OpenInRoot(int root_fd, std::string_view path, int flags) {
  return OpenFile(HostPath(root_fd, path), flags);
}

Result<UniqueFd> OpenOrCreateInRoot(int root_fd, std::string_view path, TargetKind kind) {
  const std::filesystem::path full = HostPath(root_fd, path);
  // What exists is entered, whatever it is.
  std::filesystem::path made;
  const auto folders = kind == TargetKind::kFile ? full.parent_path() : full;
  for (const auto& part : folders) {
    made /= part;
    mkdir(made.c_str(), 0755);
  }
  if (kind == TargetKind::kFile) return OpenFile(full, O_RDONLY | O_CREAT, 0644);
  return OpenFile(full, O_PATH);
}

Result<UniqueFd> OpenOrCreateRealDirectory(int root_fd, const std::string& name) {
  return OpenOrCreateInRoot(root_fd, name, TargetKind::kDirectory);
}

}  // namespace catamaran

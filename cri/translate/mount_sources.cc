#include <sys/stat.h>

#include <filesystem>
#include <sstream>
#include <vector>

#include "cri/translate/fields.h"
#include "cri/translate/translate.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLargestMountTable = 64 << 20;

struct MountPoint {
  std::string path;
  bool shared = false;
  bool slave = false;
};

// proc(5): spaces, tabs, newlines and backslashes are written as \ooo.
std::string Unescape(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 |
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

Result<std::vector<MountPoint>> ReadMountTable() {
  ASSIGN_OR_RETURN(const std::string table, ReadFile("/proc/self/mountinfo", kLargestMountTable));
  std::vector<MountPoint> points;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    // id parent major:minor root path options [shared:N] [master:N] ... - type source options
    std::istringstream words(line);
    std::string word;
    MountPoint point;
    for (int i = 0; i < 5 && words >> word; ++i) {
    }
    point.path = Unescape(word);
    words >> word;
    while (words >> word && word != "-") {
      point.shared = point.shared || word.starts_with("shared:");
      point.slave = point.slave || word.starts_with("master:");
    }
    points.push_back(std::move(point));
  }
  return points;
}

bool Holds(const std::string& mount_point, const std::string& path) {
  if (mount_point == "/" || mount_point == path) return true;
  return path.starts_with(mount_point) && path[mount_point.size()] == '/';
}

// The mount that a path lies on: the deepest one; of several at one place the last.
const MountPoint* FindMountPoint(const std::vector<MountPoint>& points, const std::string& path) {
  const MountPoint* best = nullptr;
  for (const MountPoint& point : points) {
    if (Holds(point.path, path) && (!best || point.path.size() >= best->path.size())) best = &point;
  }
  return best;
}

Status CheckPropagation(const spec::Mount& mount, const std::vector<MountPoint>& points) {
  std::error_code error;
  const std::string path = std::filesystem::canonical(mount.host_path(), error).string();
  if (error) return FailErrno(error.value(), "resolve " + mount.host_path());
  const MountPoint* point = FindMountPoint(points, path);
  const bool shared = point != nullptr && point->shared;
  const bool slave = point != nullptr && point->slave;
  const std::string field = "config.mounts.propagation of " + mount.host_path();
  if (mount.propagation() == spec::BIDIRECTIONAL && !shared) {
    return WrongField(field, "PROPAGATION_BIDIRECTIONAL",
                      "PROPAGATION_PRIVATE, because the path is not on a shared mount");
  }
  if (mount.propagation() == spec::HOST_TO_CONTAINER && !shared && !slave) {
    return WrongField(field, "PROPAGATION_HOST_TO_CONTAINER",
                      "PROPAGATION_PRIVATE, because the path is on no shared or slave mount");
  }
  return {};
}

// As other runtimes do, although the interface calls it an error: workloads rely on it.
Status MakeIfMissing(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0) return {};
  if (errno != ENOENT) return FailWithErrno("look at mount source {}", path);
  return MakeDirectories(path, 0755);
}

}  // namespace

Status PrepareMountSources(const spec::ContainerSpec& container) {
  std::vector<MountPoint> points;
  for (const spec::Mount& mount : container.mounts()) {
    if (mount.host_path().empty()) continue;
    RETURN_IF_ERROR(MakeIfMissing(mount.host_path()));
    if (mount.propagation() == spec::PRIVATE) continue;
    if (points.empty()) {
      ASSIGN_OR_RETURN(points, ReadMountTable());
    }
    RETURN_IF_ERROR(CheckPropagation(mount, points));
  }
  return {};
}

}  // namespace catamaran

#include "vm-backend/volumes/kubelet_volume.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <vector>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr char kPluginPrefix[] = "kubernetes.io~";
constexpr std::array<std::string_view, 4> kProjectedPlugins = {"projected", "configmap", "secret",
                                                               "downward-api"};

std::vector<std::string> Components(const std::string& path) {
  std::vector<std::string> parts;
  std::istringstream stream(path);
  for (std::string part; std::getline(stream, part, '/');)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

// The first `count` components, as an absolute path.
std::string Joined(const std::vector<std::string>& parts, size_t count) {
  std::string path;
  for (size_t i = 0; i < count; ++i) path += "/" + parts[i];
  return path;
}

// mountinfo writes blanks, newlines and backslashes as "\\040" and the like.
std::string WithoutOctal(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 3 >= text.size()) {
      plain += text[i];
      continue;
    }
    plain +=
        static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return plain;
}

Result<struct statx> StatusOf(const std::string& path) {
  struct statx status {};
  if (statx(AT_FDCWD, path.c_str(), AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS | STATX_MNT_ID,
            &status) != 0)
    return FailWithErrno("look at {}", path);
  return status;
}

bool SameDevice(const struct statx& one, const struct statx& other) {
  return one.stx_dev_major == other.stx_dev_major && one.stx_dev_minor == other.stx_dev_minor;
}

bool IsWrittenAtomically(const std::string& folder) {
  struct stat status;
  return lstat((folder + "/..data").c_str(), &status) == 0 && S_ISLNK(status.st_mode);
}

// The limit and the owner of the tmpfs, and which part of it is mounted.
Result<spec::GuestVolume> ExamineMemory(const std::string& folder, const spec::Mount& mount,
                                        const struct statfs& system) {
  ASSIGN_OR_RETURN(const struct statx root, StatusOf(folder));
  ASSIGN_OR_RETURN(const struct statx mounted, StatusOf(mount.host_path()));
  // A volume's folder that was replaced since the sub-path was made of it is no volume of the pod.
  if (!SameDevice(root, mounted)) return spec::GuestVolume();
  spec::GuestVolume found;
  found.set_kind(spec::GuestVolume::MEMORY);
  found.set_size_bytes(static_cast<uint64_t>(system.f_blocks) * system.f_bsize);
  // Sub-paths are made with the volume's own mode and group, as the kubelet makes them.
  found.set_mode(root.stx_mode & 07777);
  found.set_uid(root.stx_uid);
  found.set_gid(root.stx_gid);
  if (mount.host_path() == folder) return found;
  ASSIGN_OR_RETURN(const std::string table, ReadFile("/proc/self/mountinfo"));
  const auto below = RootOfMount(table, mounted.stx_mnt_id);
  if (!below) return spec::GuestVolume();
  found.set_sub_path(below->substr(std::min<size_t>(1, below->size())));
  return found;
}

}  // namespace

std::optional<KubeletVolume> ParseKubeletPath(const std::string& path) {
  const std::vector<std::string> parts = Components(path);
  const size_t count = parts.size();
  if (std::find(parts.begin(), parts.end(), "..") != parts.end()) return std::nullopt;
  if (count >= 5 && parts[count - 3] == "volumes" && parts[count - 5] == "pods" &&
      parts[count - 2].starts_with(kPluginPrefix))
    return KubeletVolume{Joined(parts, count - 3),
                         parts[count - 2].substr(sizeof kPluginPrefix - 1), parts[count - 1]};
  if (count >= 6 && parts[count - 4] == "volume-subpaths" && parts[count - 6] == "pods")
    return KubeletVolume{Joined(parts, count - 4), "", parts[count - 3]};
  return std::nullopt;
}

std::string EmptyDirFolder(const KubeletVolume& volume) {
  return volume.pod_folder + "/volumes/kubernetes.io~empty-dir/" + volume.name;
}

std::optional<std::string> RootOfMount(const std::string& mountinfo, uint64_t mount_id) {
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    // Number, its parent's, device, root; proc_pid_mountinfo(5).
    std::istringstream fields(line);
    uint64_t number = 0, parent = 0;
    std::string device, root;
    if (fields >> number >> parent >> device >> root && number == mount_id)
      return WithoutOctal(root);
  }
  return std::nullopt;
}

Result<spec::GuestVolume> ExamineKubeletVolume(const KubeletVolume& volume,
                                               const spec::Mount& mount) {
  spec::GuestVolume served;
  if (std::find(kProjectedPlugins.begin(), kProjectedPlugins.end(), volume.plugin) !=
      kProjectedPlugins.end()) {
    if (mount.readonly() && IsWrittenAtomically(mount.host_path()))
      served.set_kind(spec::GuestVolume::MIRRORED);
    return served;
  }
  if (!volume.is_sub_path() && volume.plugin != "empty-dir") return served;
  const std::string folder = EmptyDirFolder(volume);
  struct statfs system;
  if (statfs(folder.c_str(), &system) != 0) return served;  // a sub-path of some other volume
  if (system.f_type == HUGETLBFS_MAGIC)
    return Fail(ErrorCode::kUnimplemented,
                "emptyDir.medium HugePages: the node's huge pages do not reach into a VM");
  ASSIGN_OR_RETURN(const struct statx root, StatusOf(folder));
  // A mount of its own: the kubelet's root directory may itself be on a tmpfs.
  if (system.f_type != TMPFS_MAGIC || (root.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
    return served;
  return ExamineMemory(folder, mount, system);
}

}  // namespace catamaran

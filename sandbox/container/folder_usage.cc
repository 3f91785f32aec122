#include "sandbox/container/folder_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <memory>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr uint64_t kBlockBytes = 512;  // of st_blocks (stat(2))
// A container may nest folders without end; each level of this walk holds a descriptor.
constexpr int kMaximumDepth = 200;

void Measure(UniqueFd folder, int depth, dev_t device, spec::FilesystemStats& usage) {
  const int scan_fd = folder.Release();
  std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(scan_fd), closedir);
  if (!stream) {
    close(scan_fd);
    return;
  }
  while (const dirent* entry = readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status;
    if (fstatat(scan_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    usage.set_used_bytes(usage.used_bytes() +
                         static_cast<uint64_t>(status.st_blocks) * kBlockBytes);
    usage.set_inodes_used(usage.inodes_used() + 1);
    if (!S_ISDIR(status.st_mode) || status.st_dev != device || depth >= kMaximumDepth) continue;
    auto child = OpenFileAt(scan_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (child) Measure(std::move(*child), depth + 1, device, usage);
  }
}

}  // namespace

spec::FilesystemStats MeasureFolder(const std::string& folder) {
  spec::FilesystemStats usage;
  auto root = OpenFile(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  struct stat status;
  if (!root || fstat(root->get(), &status) != 0) return usage;
  usage.set_used_bytes(static_cast<uint64_t>(status.st_blocks) * kBlockBytes);
  usage.set_inodes_used(1);
  Measure(std::move(*root), 0, status.st_dev, usage);
  return usage;
}

void MeasureFilesystem(const std::string& folder, spec::FilesystemStats& usage) {
  struct statvfs filesystem;
  if (statvfs(folder.c_str(), &filesystem) != 0) return;
  usage.set_capacity_bytes(filesystem.f_blocks * filesystem.f_frsize);
  usage.set_inodes(filesystem.f_files);
  usage.set_inodes_free(filesystem.f_ffree);
}

}  // namespace catamaran

// Attributes: stat, chmod, chown, truncate, times, extended attributes.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <vector>

#include "vm-backend/volumes/fuse_request.h"
#include "vm-backend/volumes/volume_filesystem.h"

namespace catamaran {
namespace {

// Attributes that mean something to the host's kernel or to others who mount the folder
// (security.capability, trusted.overlay.*) are not the guest's to write or read.
bool IsAcl(std::string_view name) { return name.starts_with("system.posix_acl_"); }

bool AttributePassesThrough(std::string_view name) {
  return name.starts_with("user.") || IsAcl(name);
}

struct stat RootAttributes() {
  struct stat status {};
  status.st_ino = NodeTable::kRoot;
  status.st_mode = S_IFDIR | 0555;
  status.st_nlink = 2;
  return status;
}

int Truncate(int fd, off_t size) { return ftruncate(fd, size) == 0 ? 0 : errno; }

timespec TimeToSet(int to_set, int set_flag, int now_flag, const timespec& value) {
  if ((to_set & now_flag) != 0) return {0, UTIME_NOW};
  if ((to_set & set_flag) != 0) return value;
  return {0, UTIME_OMIT};
}

}  // namespace

void VolumeFilesystem::Getattr(fuse_req_t request, uint64_t node) {
  struct stat status;
  double cache_seconds = kVolumeCacheSeconds;
  if (node == NodeTable::kRoot) {
    status = RootAttributes();
  } else {
    VolumeNode* file = FindOrReply(request, node);
    if (file == nullptr) return;
    if (fstatat(file->path_fd.get(), "", &status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) {
      fuse_reply_err(request, errno);
      return;
    }
    cache_seconds = CacheSeconds(file->volume);
  }
  fuse_reply_attr(request, &status, cache_seconds);
}

void VolumeFilesystem::Setattr(fuse_req_t request, uint64_t node, struct stat* values, int to_set,
                               fuse_file_info* info) {
  VolumeNode* file = FindOrReply(request, node);
  if (file == nullptr) return;
  const int path_fd = file->path_fd.get();
  const std::string entry = std::to_string(path_fd);  // below /proc/self/fd, the working folder
  int problem = 0;
  if ((to_set & FUSE_SET_ATTR_SIZE) != 0) {
    OpenFile* open_file = info != nullptr ? files_.Find(info->fh) : nullptr;
    if (open_file != nullptr) {
      problem = Truncate(open_file->fd.get(), values->st_size);
    } else {
      const UniqueFd fd(Reopen(*file, O_WRONLY));
      problem = fd.valid() ? Truncate(fd.get(), values->st_size) : -fd.get();
    }
  }
  if (problem == 0 && (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0) {
    const uid_t uid = (to_set & FUSE_SET_ATTR_UID) != 0 ? values->st_uid : static_cast<uid_t>(-1);
    const gid_t gid = (to_set & FUSE_SET_ATTR_GID) != 0 ? values->st_gid : static_cast<gid_t>(-1);
    if (fchownat(path_fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) problem = errno;
  }
  // After the owner: chown(2) clears set-id bits.
  if (problem == 0 && (to_set & FUSE_SET_ATTR_MODE) != 0 &&
      fchmodat(AT_FDCWD, entry.c_str(), values->st_mode & 07777, 0) != 0)
    problem = errno;
  if (problem == 0 && (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME)) != 0) {
    const timespec times[2] = {
        TimeToSet(to_set, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, values->st_atim),
        TimeToSet(to_set, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, values->st_mtim)};
    if (utimensat(path_fd, "", times, AT_EMPTY_PATH) != 0) problem = errno;
  }
  if (problem != 0)
    fuse_reply_err(request, problem);
  else
    Getattr(request, node);
}

void VolumeFilesystem::Statfs(fuse_req_t request, uint64_t node) {
  struct statvfs status {};
  VolumeNode* file = Find(node);
  if (file != nullptr && fstatvfs(file->path_fd.get(), &status) != 0) {
    fuse_reply_err(request, errno);
    return;
  }
  if (file == nullptr) status.f_namemax = NAME_MAX;
  fuse_reply_statfs(request, &status);
}

void VolumeFilesystem::Setxattr(fuse_req_t request, uint64_t node, const char* name,
                                const char* value, size_t size, int flags) {
  VolumeNode* file = FindOrReply(request, node);
  if (file == nullptr) return;
  if (!AttributePassesThrough(name)) {
    fuse_reply_err(request, EOPNOTSUPP);
    return;
  }
  const std::string entry = std::to_string(file->path_fd.get());
  fuse_reply_err(request, setxattr(entry.c_str(), name, value, size, flags) == 0 ? 0 : errno);
}

void VolumeFilesystem::Getxattr(fuse_req_t request, uint64_t node, const char* name, size_t size) {
  VolumeNode* file = Find(node);
  if (file == nullptr || !AttributePassesThrough(name)) {
    fuse_reply_err(request, ENODATA);
    return;
  }
  std::vector<char> value(std::min(size, kMaxFuseTransfer));
  const std::string entry = std::to_string(file->path_fd.get());
  const ssize_t length = getxattr(entry.c_str(), name, value.data(), value.size());
  if (length < 0)
    // A guest's kernel, which asks for the ACL of what it checks, takes only this for having none.
    fuse_reply_err(request, errno == EOPNOTSUPP && IsAcl(name) ? ENODATA : errno);
  else if (size == 0)
    fuse_reply_xattr(request, length);
  else
    fuse_reply_buf(request, value.data(), length);
}

void VolumeFilesystem::Listxattr(fuse_req_t request, uint64_t node, size_t size) {
  VolumeNode* file = Find(node);
  std::string names;
  if (file != nullptr) {
    std::vector<char> all(XATTR_LIST_MAX);
    const std::string entry = std::to_string(file->path_fd.get());
    const ssize_t length = listxattr(entry.c_str(), all.data(), all.size());
    if (length < 0) {
      fuse_reply_err(request, errno);
      return;
    }
    for (std::string_view rest(all.data(), length); !rest.empty();) {
      const std::string_view name = rest.substr(0, rest.find('\0'));
      if (AttributePassesThrough(name)) names.append(name).push_back('\0');
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    }
  }
  if (size == 0)
    fuse_reply_xattr(request, names.size());
  else if (names.size() > size)
    fuse_reply_err(request, ERANGE);
  else
    fuse_reply_buf(request, names.data(), names.size());
}

void VolumeFilesystem::Removexattr(fuse_req_t request, uint64_t node, const char* name) {
  VolumeNode* file = FindOrReply(request, node);
  if (file == nullptr) return;
  if (!AttributePassesThrough(name)) {
    fuse_reply_err(request, ENODATA);
    return;
  }
  const std::string entry = std::to_string(file->path_fd.get());
  fuse_reply_err(request, removexattr(entry.c_str(), name) == 0 ? 0 : errno);
}

}  // namespace catamaran

// Operations on names: create, remove, rename, link.
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "vm-backend/volumes/guest_credentials.h"
#include "vm-backend/volumes/volume_filesystem.h"

namespace catamaran {
namespace {

GuestCredentials CredentialsOf(fuse_req_t request) {
  const fuse_ctx* context = fuse_req_ctx(request);
  return GuestCredentials(context->uid, context->gid, context->umask);
}

}  // namespace

void VolumeFilesystem::Mknod(fuse_req_t request, uint64_t parent, const char* name, mode_t mode) {
  VolumeNode* folder = FindOrReply(request, parent);
  if (folder == nullptr) return;
  const mode_t type = mode & S_IFMT;
  if (type != 0 && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK) {
    fuse_reply_err(request, EPERM);
    return;
  }
  int result;
  {
    const auto credentials = CredentialsOf(request);
    result = mknodat(folder->path_fd.get(), name, mode, 0) == 0 ? 0 : errno;
  }
  if (result != 0)
    fuse_reply_err(request, result);
  else
    ReplyEntry(request, parent, name);
}

void VolumeFilesystem::Mkdir(fuse_req_t request, uint64_t parent, const char* name, mode_t mode) {
  VolumeNode* folder = FindOrReply(request, parent);
  if (folder == nullptr) return;
  int result;
  {
    const auto credentials = CredentialsOf(request);
    result = mkdirat(folder->path_fd.get(), name, mode) == 0 ? 0 : errno;
  }
  if (result != 0)
    fuse_reply_err(request, result);
  else
    ReplyEntry(request, parent, name);
}

void VolumeFilesystem::Symlink(fuse_req_t request, const char* target, uint64_t parent,
                               const char* name) {
  VolumeNode* folder = FindOrReply(request, parent);
  if (folder == nullptr) return;
  int result;
  {
    const auto credentials = CredentialsOf(request);
    result = symlinkat(target, folder->path_fd.get(), name) == 0 ? 0 : errno;
  }
  if (result != 0)
    fuse_reply_err(request, result);
  else
    ReplyEntry(request, parent, name);
}

void VolumeFilesystem::Unlink(fuse_req_t request, uint64_t parent, const char* name, int flags) {
  VolumeNode* folder = FindOrReply(request, parent);
  if (folder == nullptr) return;
  fuse_reply_err(request, unlinkat(folder->path_fd.get(), name, flags) == 0 ? 0 : errno);
}

void VolumeFilesystem::Rename(fuse_req_t request, uint64_t parent, const char* name,
                              uint64_t new_parent, const char* new_name, unsigned flags) {
  VolumeNode* from = FindOrReply(request, parent);
  if (from == nullptr) return;
  VolumeNode* to = FindOrReply(request, new_parent);
  if (to == nullptr) return;
  // RENAME_WHITEOUT would make a device node.
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  const int result = renameat2(from->path_fd.get(), name, to->path_fd.get(), new_name, flags);
  fuse_reply_err(request, result == 0 ? 0 : errno);
}

void VolumeFilesystem::Link(fuse_req_t request, uint64_t node, uint64_t new_parent,
                            const char* new_name) {
  VolumeNode* file = FindOrReply(request, node);
  if (file == nullptr) return;
  VolumeNode* folder = FindOrReply(request, new_parent);
  if (folder == nullptr) return;
  // The working folder is /proc/self/fd: its entry leads to the inode itself.
  const std::string entry = std::to_string(file->path_fd.get());
  if (linkat(AT_FDCWD, entry.c_str(), folder->path_fd.get(), new_name, AT_SYMLINK_FOLLOW) != 0)
    fuse_reply_err(request, errno);
  else
    ReplyEntry(request, new_parent, new_name);
}

void VolumeFilesystem::Readlink(fuse_req_t request, uint64_t node) {
  VolumeNode* link = FindOrReply(request, node);
  if (link == nullptr) return;
  char target[PATH_MAX];
  const ssize_t length = readlinkat(link->path_fd.get(), "", target, sizeof target - 1);
  if (length < 0) {
    fuse_reply_err(request, errno);
    return;
  }
  target[length] = '\0';
  fuse_reply_readlink(request, target);
}

}  // namespace catamaran

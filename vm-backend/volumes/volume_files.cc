// Operations on regular files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "vm-backend/volumes/fuse_request.h"
#include "vm-backend/volumes/guest_credentials.h"
#include "vm-backend/volumes/volume_filesystem.h"

namespace catamaran {
namespace {

// What a guest may ask of open(2) on the host. O_DIRECT is left out: the channel's buffers are
// not aligned, and the guest's own page cache is what it wants to avoid.
constexpr int kOpenFlags = O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME;

}  // namespace

int VolumeFilesystem::Reopen(const VolumeNode& node, int flags) {
  // A fifo would block the server, a device would be driven by it.
  if (node.type != S_IFREG) return -EACCES;
  const int fd = open(std::to_string(node.path_fd.get()).c_str(),
                      (flags & kOpenFlags) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  return fd < 0 ? -errno : fd;
}

int VolumeFilesystem::ReplyOpened(fuse_req_t request, UniqueFd fd, fuse_file_info* info,
                                  const fuse_entry_param* created) {
  const uint64_t handle = files_.Add(OpenFile{std::move(fd)});
  info->fh = handle;
  const int sent = created != nullptr ? fuse_reply_create(request, created, info)
                                      : fuse_reply_open(request, info);
  if (sent != 0) files_.Remove(handle);  // the open was interrupted: no release will come
  return sent;
}

void VolumeFilesystem::Create(fuse_req_t request, uint64_t parent, const char* name, mode_t mode,
                              fuse_file_info* info) {
  VolumeNode* folder = FindOrReply(request, parent);
  if (folder == nullptr) return;
  UniqueFd fd;
  int problem = 0;
  {
    const fuse_ctx* context = fuse_req_ctx(request);
    const GuestCredentials credentials(context->uid, context->gid, context->umask);
    fd.Reset(openat(folder->path_fd.get(), name,
                    (info->flags & kOpenFlags) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!fd.valid()) problem = errno;
  }
  fuse_entry_param entry;
  // The name may have appeared meanwhile: then it is an ordinary open of whatever it is.
  const bool open_existing = problem == EEXIST && (info->flags & O_EXCL) == 0;
  if (problem == 0 || open_existing) problem = LookupEntry(parent, name, &entry);
  if (problem == 0 && open_existing) {
    const int existing = Reopen(*nodes_.Find(entry.ino), info->flags);
    if (existing < 0) {
      problem = -existing;
      nodes_.Forget(entry.ino, 1);
    }
    fd.Reset(existing);
  }
  if (problem != 0)
    fuse_reply_err(request, problem);
  else
    ReplyOpened(request, std::move(fd), info, &entry);
}

void VolumeFilesystem::Open(fuse_req_t request, uint64_t node, fuse_file_info* info) {
  VolumeNode* file = FindOrReply(request, node);
  if (file == nullptr) return;
  const int fd = Reopen(*file, info->flags);
  if (fd < 0)
    fuse_reply_err(request, -fd);
  else
    ReplyOpened(request, UniqueFd(fd), info, nullptr);
}

void VolumeFilesystem::Read(fuse_req_t request, size_t size, off_t offset, fuse_file_info* info) {
  OpenFile* file = files_.Find(info->fh);
  if (file == nullptr) {
    fuse_reply_err(request, EBADF);
    return;
  }
  std::vector<char> data(std::min(size, kMaxFuseTransfer));
  const ssize_t count = pread(file->fd.get(), data.data(), data.size(), offset);
  if (count < 0)
    fuse_reply_err(request, errno);
  else
    fuse_reply_buf(request, data.data(), count);
}

void VolumeFilesystem::Write(fuse_req_t request, const char* data, size_t size, off_t offset,
                             fuse_file_info* info) {
  OpenFile* file = files_.Find(info->fh);
  if (file == nullptr) {
    fuse_reply_err(request, EBADF);
    return;
  }
  const ssize_t count = pwrite(file->fd.get(), data, size, offset);
  if (count < 0)
    fuse_reply_err(request, errno);
  else
    fuse_reply_write(request, count);
}

void VolumeFilesystem::Release(fuse_req_t request, fuse_file_info* info) {
  files_.Remove(info->fh);
  fuse_reply_err(request, 0);
}

void VolumeFilesystem::Fsync(fuse_req_t request, bool data_only, fuse_file_info* info) {
  OpenFile* file = files_.Find(info->fh);
  if (file == nullptr) {
    fuse_reply_err(request, EBADF);
    return;
  }
  const int result = data_only ? fdatasync(file->fd.get()) : fsync(file->fd.get());
  fuse_reply_err(request, result == 0 ? 0 : errno);
}

void VolumeFilesystem::Fallocate(fuse_req_t request, int mode, off_t offset, off_t length,
                                 fuse_file_info* info) {
  OpenFile* file = files_.Find(info->fh);
  const int result = file == nullptr                                        ? EBADF
                     : fallocate(file->fd.get(), mode, offset, length) == 0 ? 0
                                                                            : errno;
  fuse_reply_err(request, result);
}

void VolumeFilesystem::Lseek(fuse_req_t request, off_t offset, int whence, fuse_file_info* info) {
  OpenFile* file = files_.Find(info->fh);
  if (file == nullptr || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
    fuse_reply_err(request, file == nullptr ? EBADF : EINVAL);
    return;
  }
  const off_t found = lseek(file->fd.get(), offset, whence);
  if (found < 0)
    fuse_reply_err(request, errno);
  else
    fuse_reply_lseek(request, found);
}

void VolumeFilesystem::CopyFileRange(fuse_req_t request, fuse_file_info* in, off_t in_offset,
                                     fuse_file_info* out, off_t out_offset, size_t length) {
  OpenFile* source = files_.Find(in->fh);
  OpenFile* target = files_.Find(out->fh);
  if (source == nullptr || target == nullptr) {
    fuse_reply_err(request, EBADF);
    return;
  }
  // Bounded, so that one request cannot keep the server from the others for long.
  const ssize_t count = copy_file_range(source->fd.get(), &in_offset, target->fd.get(), &out_offset,
                                        std::min<size_t>(length, 16 << 20), 0);
  if (count < 0)
    fuse_reply_err(request, errno);
  else
    fuse_reply_write(request, count);
}

}  // namespace catamaran

#include "vm-backend/volumes/volume_filesystem.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace catamaran {
namespace {

VolumeFilesystem& Self(fuse_req_t request) {
  return *static_cast<VolumeFilesystem*>(fuse_req_userdata(request));
}

void AddNames(fuse_lowlevel_ops& ops) {
  ops.init = [](void* self, fuse_conn_info* connection) {
    static_cast<VolumeFilesystem*>(self)->Init(connection);
  };
  ops.lookup = [](fuse_req_t r, fuse_ino_t p, const char* n) { Self(r).Lookup(r, p, n); };
  ops.forget = [](fuse_req_t r, fuse_ino_t i, uint64_t count) {
    Self(r).Forget(i, count);
    fuse_reply_none(r);
  };
  ops.forget_multi = [](fuse_req_t r, size_t count, fuse_forget_data* forgets) {
    for (size_t k = 0; k < count; ++k) Self(r).Forget(forgets[k].ino, forgets[k].nlookup);
    fuse_reply_none(r);
  };
  ops.getattr = [](fuse_req_t r, fuse_ino_t i, fuse_file_info*) { Self(r).Getattr(r, i); };
  ops.setattr = [](fuse_req_t r, fuse_ino_t i, struct stat* v, int set, fuse_file_info* f) {
    Self(r).Setattr(r, i, v, set, f);
  };
  ops.readlink = [](fuse_req_t r, fuse_ino_t i) { Self(r).Readlink(r, i); };
  ops.mknod = [](fuse_req_t r, fuse_ino_t p, const char* n, mode_t m, dev_t) {
    Self(r).Mknod(r, p, n, m);
  };
  ops.mkdir = [](fuse_req_t r, fuse_ino_t p, const char* n, mode_t m) {
    Self(r).Mkdir(r, p, n, m);
  };
  ops.unlink = [](fuse_req_t r, fuse_ino_t p, const char* n) { Self(r).Unlink(r, p, n, 0); };
  ops.rmdir = [](fuse_req_t r, fuse_ino_t p, const char* n) {
    Self(r).Unlink(r, p, n, AT_REMOVEDIR);
  };
  ops.symlink = [](fuse_req_t r, const char* target, fuse_ino_t p, const char* n) {
    Self(r).Symlink(r, target, p, n);
  };
  ops.rename = [](fuse_req_t r, fuse_ino_t p, const char* n, fuse_ino_t np, const char* nn,
                  unsigned flags) { Self(r).Rename(r, p, n, np, nn, flags); };
  ops.link = [](fuse_req_t r, fuse_ino_t i, fuse_ino_t np, const char* nn) {
    Self(r).Link(r, i, np, nn);
  };
}

void AddFiles(fuse_lowlevel_ops& ops) {
  ops.create = [](fuse_req_t r, fuse_ino_t p, const char* n, mode_t m, fuse_file_info* f) {
    Self(r).Create(r, p, n, m, f);
  };
  ops.open = [](fuse_req_t r, fuse_ino_t i, fuse_file_info* f) { Self(r).Open(r, i, f); };
  ops.read = [](fuse_req_t r, fuse_ino_t, size_t size, off_t off, fuse_file_info* f) {
    Self(r).Read(r, size, off, f);
  };
  ops.write = [](fuse_req_t r, fuse_ino_t, const char* data, size_t size, off_t off,
                 fuse_file_info* f) { Self(r).Write(r, data, size, off, f); };
  ops.release = [](fuse_req_t r, fuse_ino_t, fuse_file_info* f) { Self(r).Release(r, f); };
  ops.fsync = [](fuse_req_t r, fuse_ino_t, int data, fuse_file_info* f) {
    Self(r).Fsync(r, data != 0, f);
  };
  ops.fallocate = [](fuse_req_t r, fuse_ino_t, int mode, off_t off, off_t len, fuse_file_info* f) {
    Self(r).Fallocate(r, mode, off, len, f);
  };
  ops.lseek = [](fuse_req_t r, fuse_ino_t, off_t off, int whence, fuse_file_info* f) {
    Self(r).Lseek(r, off, whence, f);
  };
  ops.copy_file_range = [](fuse_req_t r, fuse_ino_t, off_t in_off, fuse_file_info* in, fuse_ino_t,
                           off_t out_off, fuse_file_info* out, size_t len,
                           int) { Self(r).CopyFileRange(r, in, in_off, out, out_off, len); };
}

void AddFoldersAndAttributes(fuse_lowlevel_ops& ops) {
  ops.opendir = [](fuse_req_t r, fuse_ino_t i, fuse_file_info* f) { Self(r).Opendir(r, i, f); };
  ops.readdir = [](fuse_req_t r, fuse_ino_t, size_t size, off_t off, fuse_file_info* f) {
    Self(r).Readdir(r, size, off, f, false);
  };
  ops.readdirplus = [](fuse_req_t r, fuse_ino_t, size_t size, off_t off, fuse_file_info* f) {
    Self(r).Readdir(r, size, off, f, true);
  };
  ops.releasedir = [](fuse_req_t r, fuse_ino_t, fuse_file_info* f) { Self(r).Releasedir(r, f); };
  ops.fsyncdir = [](fuse_req_t r, fuse_ino_t, int data, fuse_file_info* f) {
    Self(r).Fsyncdir(r, data != 0, f);
  };
  ops.statfs = [](fuse_req_t r, fuse_ino_t i) { Self(r).Statfs(r, i); };
  ops.setxattr = [](fuse_req_t r, fuse_ino_t i, const char* n, const char* v, size_t size,
                    int flags) { Self(r).Setxattr(r, i, n, v, size, flags); };
  ops.getxattr = [](fuse_req_t r, fuse_ino_t i, const char* n, size_t size) {
    Self(r).Getxattr(r, i, n, size);
  };
  ops.listxattr = [](fuse_req_t r, fuse_ino_t i, size_t size) { Self(r).Listxattr(r, i, size); };
  ops.removexattr = [](fuse_req_t r, fuse_ino_t i, const char* n) { Self(r).Removexattr(r, i, n); };
}

fuse_lowlevel_ops MakeOperations() {
  fuse_lowlevel_ops ops{};
  AddNames(ops);
  AddFiles(ops);
  AddFoldersAndAttributes(ops);
  return ops;
}

}  // namespace

const fuse_lowlevel_ops& VolumeFilesystem::operations() {
  static const fuse_lowlevel_ops ops = MakeOperations();
  return ops;
}

void VolumeFilesystem::Init(fuse_conn_info* connection) {
  connection->max_readahead = 1 << 20;
  // The guest's kernel applies the host's ACLs; a folder's default one stands in for the umask.
  connection->want |= connection->capable & (FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK);
  // Splicing needs a pipe per request, and the channel is a socket.
  connection->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
}

namespace {

// Whether the host lets this mount be written.
bool IsReadOnly(int fd) {
  struct statvfs status {};
  return fstatvfs(fd, &status) == 0 && (status.f_flag & ST_RDONLY) != 0;
}

}  // namespace

void VolumeFilesystem::AddVolume(uint64_t volume, UniqueFd root, Caching caching, uint32_t access) {
  struct stat status {};
  fstatat(root.get(), "", &status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
  const bool readonly = IsReadOnly(root.get());
  volumes_[volume] = {std::move(root), caching, access, readonly, status.st_dev, status.st_ino};
}

std::optional<uint64_t> VolumeFilesystem::SameVolume(int root, Caching caching,
                                                     uint32_t access) const {
  struct stat status {};
  if (caching == Caching::kNone ||
      fstatat(root, "", &status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
    return std::nullopt;
  for (const auto& [number, volume] : volumes_)
    if (volume.caching == caching && volume.access == access && volume.device == status.st_dev &&
        volume.inode == status.st_ino && volume.readonly == IsReadOnly(root))
      return number;
  return std::nullopt;
}

NodeTable::Way VolumeFilesystem::WayOf(uint64_t volume, bool root) const {
  const auto found = volumes_.find(volume);
  // What its children are of a volume that is gone: the guest's kernel may still walk its folders.
  if (found == volumes_.end()) return {volume, root, /*readonly=*/true, /*alone=*/true};
  return {volume, root, found->second.readonly, found->second.caching == Caching::kNone};
}

void VolumeFilesystem::RemoveVolume(uint64_t volume) { volumes_.erase(volume); }

double VolumeFilesystem::CacheSeconds(uint64_t volume) const {
  const auto found = volumes_.find(volume);
  return found == volumes_.end() || found->second.caching == Caching::kNone ? 0
                                                                            : kVolumeCacheSeconds;
}

VolumeNode* VolumeFilesystem::Find(uint64_t node) {
  VolumeNode* found = nodes_.Find(node);
  if (found != nullptr || !NodeTable::IsRootOfVolume(node)) return found;
  const uint64_t volume = NodeTable::VolumeOfRoot(node);
  const auto known = volumes_.find(volume);
  if (known == volumes_.end()) return nullptr;
  UniqueFd fd(fcntl(known->second.root.get(), F_DUPFD_CLOEXEC, 0));
  struct stat status;
  if (!fd.valid() || fstatat(fd.get(), "", &status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
    return nullptr;
  return nodes_.Refer(WayOf(volume, /*root=*/true), std::move(fd), status);
}

VolumeNode* VolumeFilesystem::FindOrReply(fuse_req_t request, uint64_t node) {
  VolumeNode* found = Find(node);
  if (found == nullptr) fuse_reply_err(request, node == NodeTable::kRoot ? EPERM : ESTALE);
  return found;
}

int VolumeFilesystem::LookupEntry(uint64_t parent, const char* name, fuse_entry_param* entry) {
  UniqueFd fd;
  uint64_t volume = 0;
  if (parent == NodeTable::kRoot) {
    const char* end = name + strlen(name);
    const auto [rest, problem] = std::from_chars(name, end, volume);
    const auto found = volumes_.find(volume);
    if (problem != std::errc() || rest != end || found == volumes_.end()) return ENOENT;
    fd.Reset(fcntl(found->second.root.get(), F_DUPFD_CLOEXEC, 0));
  } else {
    VolumeNode* folder = Find(parent);
    if (folder == nullptr) return ESTALE;
    volume = folder->volume;
    fd.Reset(openat(folder->path_fd.get(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }
  if (!fd.valid()) return errno;
  struct stat status;
  if (fstatat(fd.get(), "", &status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) return errno;
  *entry = fuse_entry_param{};
  entry->attr = status;
  entry->attr_timeout = entry->entry_timeout = CacheSeconds(volume);
  entry->ino = nodes_.Refer(WayOf(volume, parent == NodeTable::kRoot), std::move(fd), status)->id;
  return 0;
}

void VolumeFilesystem::ReplyEntry(fuse_req_t request, uint64_t parent, const char* name) {
  fuse_entry_param entry;
  const int problem = LookupEntry(parent, name, &entry);
  if (problem == 0)
    fuse_reply_entry(request, &entry);
  else
    fuse_reply_err(request, problem);
}

void VolumeFilesystem::Lookup(fuse_req_t request, uint64_t parent, const char* name) {
  ReplyEntry(request, parent, name);
}

}  // namespace catamaran

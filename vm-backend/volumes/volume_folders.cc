// Operations on folders.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <vector>

#include "vm-backend/volumes/fuse_request.h"
#include "vm-backend/volumes/volume_filesystem.h"

namespace catamaran {
namespace {

// Each takes a buffer of 32 KiB and more, and one of the root not even a descriptor: a guest could
// open them until this host has no memory.
constexpr size_t kMostOpenFolders = 4096;

}  // namespace

void VolumeFilesystem::Opendir(fuse_req_t request, uint64_t node, fuse_file_info* info) {
  if (folders_.size() >= kMostOpenFolders) {
    fuse_reply_err(request, EMFILE);
    return;
  }
  OpenFolder folder;
  folder.node = node;
  // The root shows no names: the agent knows which volumes there are.
  if (node != NodeTable::kRoot) {
    VolumeNode* found = FindOrReply(request, node);
    if (found == nullptr) return;
    UniqueFd fd(openat(found->path_fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.valid()) folder.stream.reset(fdopendir(fd.get()));
    if (folder.stream == nullptr) {
      fuse_reply_err(request, errno);
      return;
    }
    [[maybe_unused]] const int owned_by_stream = fd.Release();
  }
  const uint64_t handle = folders_.Add(std::move(folder));
  info->fh = handle;
  if (fuse_reply_open(request, info) != 0) folders_.Remove(handle);
}

void VolumeFilesystem::Readdir(fuse_req_t request, size_t size, off_t offset, fuse_file_info* info,
                               bool plus) {
  OpenFolder* folder = folders_.Find(info->fh);
  if (folder == nullptr) {
    fuse_reply_err(request, EBADF);
    return;
  }
  if (folder->stream == nullptr) {
    fuse_reply_buf(request, nullptr, 0);
    return;
  }
  if (folder->position != offset) seekdir(folder->stream.get(), offset);
  std::vector<char> buffer(std::min(size, kMaxFuseTransfer));
  size_t used = 0;
  while (true) {
    const off_t before = telldir(folder->stream.get());
    const dirent* item = readdir(folder->stream.get());
    if (item == nullptr) break;
    folder->position = item->d_off;
    const std::string_view name = item->d_name;
    const bool dots = name == "." || name == "..";
    fuse_entry_param entry{};
    entry.attr.st_ino = item->d_ino;
    entry.attr.st_mode = DTTOIF(item->d_type);
    // A name that vanished meanwhile is left out; the two dots never count as looked up.
    if (plus && !dots && LookupEntry(folder->node, item->d_name, &entry) != 0) continue;
    char* place = buffer.data() + used;
    const size_t room = buffer.size() - used;
    const size_t needed =
        plus ? fuse_add_direntry_plus(request, place, room, item->d_name, &entry, item->d_off)
             : fuse_add_direntry(request, place, room, item->d_name, &entry.attr, item->d_off);
    if (needed > room) {
      if (plus && !dots) nodes_.Forget(entry.ino, 1);
      seekdir(folder->stream.get(), before);
      folder->position = before;
      break;
    }
    used += needed;
  }
  fuse_reply_buf(request, buffer.data(), used);
}

void VolumeFilesystem::Releasedir(fuse_req_t request, fuse_file_info* info) {
  folders_.Remove(info->fh);
  fuse_reply_err(request, 0);
}

void VolumeFilesystem::Fsyncdir(fuse_req_t request, bool data_only, fuse_file_info* info) {
  OpenFolder* folder = folders_.Find(info->fh);
  if (folder == nullptr || folder->stream == nullptr) {
    fuse_reply_err(request, folder == nullptr ? EBADF : 0);
    return;
  }
  const int fd = dirfd(folder->stream.get());
  fuse_reply_err(request, (data_only ? fdatasync(fd) : fsync(fd)) == 0 ? 0 : errno);
}

}  // namespace catamaran

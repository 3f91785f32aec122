#pragma once

#define FUSE_USE_VERSION 312
#include <dirent.h>
#include <fuse3/fuse_lowlevel.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "sandbox/base/unique_fd.h"
#include "vm-backend/volumes/node_table.h"

namespace catamaran {

// The file system that a guest sees: a root folder with one entry per volume, and below each the
// host's files, passed through. It runs in the confined volume server and answers requests that
// CheckFuseRequest has passed.
//
// A path is never resolved: every request names an inode that the guest looked up before, by
// O_PATH descriptor, plus at most one path component, opened without following symlinks. Only
// regular files and folders are opened: a guest that asks to open a fifo or a device node on the
// host gets EACCES (its own kernel serves those). New files belong to the guest process's user and
// group. Devices cannot be made; trusted.* and security.* attributes are not passed on.
//
// Needs the working folder to be this process's own /proc/self/fd (see volume_server_process.cc).
// Not thread-safe: one request at a time.
class VolumeFilesystem {
 public:
  // Of a server that was started anew: numbers that the guest has of an earlier one name nothing,
  // but for the roots of volumes.
  explicit VolumeFilesystem(uint64_t incarnation = 0)
      : nodes_(incarnation), files_(incarnation), folders_(incarnation) {}

  // What the guest may keep of a volume's entries and attributes, and for how long.
  enum class Caching { kSeconds, kNone };
  // `root` is what the volume's entry shows: a folder or a single file (a detached mount).
  void AddVolume(uint64_t volume, UniqueFd root, Caching caching, uint32_t access);
  void RemoveVolume(uint64_t volume);
  // The volume with the same root, caching and access as AddVolume would be given; nothing where
  // there is none, or where the guest is to cache nothing: such volumes are never one.
  std::optional<uint64_t> SameVolume(int root, Caching caching, uint32_t access) const;

  // libfuse's operations; their user data is a VolumeFilesystem.
  static const fuse_lowlevel_ops& operations();

  // One operation each, defined by theme in volume_names.cc, volume_files.cc, volume_folders.cc and
  // volume_attributes.cc. Each answers its request exactly once.
  void Init(fuse_conn_info* connection);
  void Lookup(fuse_req_t request, uint64_t parent, const char* name);
  void Forget(uint64_t node, uint64_t lookups) { nodes_.Forget(node, lookups); }
  void Mknod(fuse_req_t request, uint64_t parent, const char* name, mode_t mode);
  void Mkdir(fuse_req_t request, uint64_t parent, const char* name, mode_t mode);
  void Symlink(fuse_req_t request, const char* target, uint64_t parent, const char* name);
  void Unlink(fuse_req_t request, uint64_t parent, const char* name, int flags);
  void Rename(fuse_req_t request, uint64_t parent, const char* name, uint64_t new_parent,
              const char* new_name, unsigned flags);
  void Link(fuse_req_t request, uint64_t node, uint64_t new_parent, const char* new_name);
  void Readlink(fuse_req_t request, uint64_t node);

  void Create(fuse_req_t request, uint64_t parent, const char* name, mode_t mode,
              fuse_file_info* info);
  void Open(fuse_req_t request, uint64_t node, fuse_file_info* info);
  void Read(fuse_req_t request, size_t size, off_t offset, fuse_file_info* info);
  void Write(fuse_req_t request, const char* data, size_t size, off_t offset, fuse_file_info* info);
  void Release(fuse_req_t request, fuse_file_info* info);
  void Fsync(fuse_req_t request, bool data_only, fuse_file_info* info);
  void Fallocate(fuse_req_t request, int mode, off_t offset, off_t length, fuse_file_info* info);
  void Lseek(fuse_req_t request, off_t offset, int whence, fuse_file_info* info);
  void CopyFileRange(fuse_req_t request, fuse_file_info* in, off_t in_offset, fuse_file_info* out,
                     off_t out_offset, size_t length);

  void Opendir(fuse_req_t request, uint64_t node, fuse_file_info* info);
  void Readdir(fuse_req_t request, size_t size, off_t offset, fuse_file_info* info, bool plus);
  void Releasedir(fuse_req_t request, fuse_file_info* info);
  void Fsyncdir(fuse_req_t request, bool data_only, fuse_file_info* info);

  void Getattr(fuse_req_t request, uint64_t node);
  void Setattr(fuse_req_t request, uint64_t node, struct stat* values, int to_set,
               fuse_file_info* info);
  void Statfs(fuse_req_t request, uint64_t node);
  void Setxattr(fuse_req_t request, uint64_t node, const char* name, const char* value, size_t size,
                int flags);
  void Getxattr(fuse_req_t request, uint64_t node, const char* name, size_t size);
  void Listxattr(fuse_req_t request, uint64_t node, size_t size);
  void Removexattr(fuse_req_t request, uint64_t node, const char* name);

 private:
  struct OpenFile {
    UniqueFd fd;
  };
  struct OpenFolder {
    uint64_t node = 0;
    std::unique_ptr<DIR, int (*)(DIR*)> stream{nullptr, closedir};
    off_t position = 0;
  };

  // A node that the guest holds, or a volume's root, which it may hold from an earlier server.
  VolumeNode* Find(uint64_t node);
  // Answers ESTALE and gives nullptr for a number that the guest does not hold.
  VolumeNode* FindOrReply(fuse_req_t request, uint64_t node);
  // Looks one component up below a folder (kRoot: a volume) and takes a reference. errno value, 0
  // for success.
  int LookupEntry(uint64_t parent, const char* name, fuse_entry_param* entry);
  void ReplyEntry(fuse_req_t request, uint64_t parent, const char* name);
  // Opens the file behind a node again, for reading or writing; -errno on failure.
  int Reopen(const VolumeNode& node, int flags);
  int ReplyOpened(fuse_req_t request, UniqueFd fd, fuse_file_info* info,
                  const fuse_entry_param* created);

  struct Volume {
    UniqueFd root;
    Caching caching = Caching::kSeconds;
    uint32_t access = 0;
    bool readonly = false;
    dev_t device = 0;
    ino_t inode = 0;
  };
  NodeTable::Way WayOf(uint64_t volume, bool root) const;
  // Of a volume that is gone: 0.
  double CacheSeconds(uint64_t volume) const;

  NodeTable nodes_;
  HandleTable<OpenFile> files_;
  HandleTable<OpenFolder> folders_;
  std::map<uint64_t, Volume> volumes_;
};

// Entries and attributes are cached by the guest for this long.
inline constexpr double kVolumeCacheSeconds = 1.0;

}  // namespace catamaran

#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cri/images/erofs/format.h"

namespace catamaran::erofs {

struct Xattr {
  std::string name;  // with its prefix, "user.x"
  std::string value;
};

// Consecutive chunks of a file with holes that lie one after another on the disk.
struct ChunkRun {
  uint64_t chunk = 0;  // index of the first one in the file
  uint64_t count = 0;
  uint32_t block = 0;  // where the first one lies
};
struct ChunkMap {
  uint8_t bits = 0;  // a chunk has kBlockSize << bits bytes
  std::vector<ChunkRun> runs;
};

using InodeIndex = uint32_t;

struct Inode {
  uint32_t mode = 0;  // type and permissions, as st_mode
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t mtime_nsec = 0;
  int64_t mtime = 0;
  dev_t device = 0;                                             // of device nodes
  uint64_t size = 0;                                            // of regular files and symlinks
  uint32_t first_block = 0;                                     // of a regular file without holes
  std::unique_ptr<ChunkMap> chunks;                             // of one with holes
  std::string target;                                           // of a symlink
  std::vector<Xattr> xattrs;                                    // in any order, names distinct
  std::unique_ptr<std::map<std::string, InodeIndex>> children;  // of a directory
  // A directory that the archive never listed, made as a parent of others: it brings no
  // attributes of its own over those of a layer below.
  bool implicit = false;

  bool IsDirectory() const { return S_ISDIR(mode); }
  bool IsWhiteout() const { return S_ISCHR(mode) && device == 0; }
  const Xattr* FindXattr(std::string_view name) const;
  void SetXattr(std::string_view name, std::string value);
};

// A file tree in memory: inodes by index, names in directories (more than one name may lead to
// one inode). Inodes that no name leads to any more stay in the table and are not written.
class FileTree {
 public:
  FileTree();
  FileTree(FileTree&&) = default;
  FileTree& operator=(FileTree&&) = default;

  static constexpr InodeIndex kRoot = 0;
  Inode& at(InodeIndex index) { return inodes_[index]; }
  const Inode& at(InodeIndex index) const { return inodes_[index]; }
  size_t size() const { return inodes_.size(); }

  InodeIndex Add(Inode inode);
  InodeIndex AddDirectory(uint32_t permissions);
  // nullptr where the directory has no such child.
  const InodeIndex* Find(InodeIndex directory, const std::string& name) const;

 private:
  std::deque<Inode> inodes_;
};

constexpr char kOpaqueXattr[] = "trusted.overlay.opaque";
// On a directory that holds whiteouts and may not be merged with another: its presence makes
// overlayfs filter them from readdir(3) there too (ovl_path_check_origin_xattr).
constexpr char kOriginXattr[] = "trusted.overlay.origin";
// Marks Inode::implicit in a blob. Below trusted.overlay., so that overlayfs shows it to no one.
constexpr char kImplicitXattr[] = "trusted.overlay.implicit";

bool IsOverlayXattr(std::string_view name);

}  // namespace catamaran::erofs

#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cri/images/erofs/tree.h"
#include "sandbox/base/result.h"

namespace catamaran {

// What a layer may ask for before it is refused with kResourceExhausted. Layers are hostile.
struct LayerLimits {
  uint64_t entries = 1 << 20;
  uint64_t metadata_bytes = 256 << 20;  // names, symlink targets and extended attributes
  uint64_t xattr_bytes_per_file = 128 << 10;
  uint64_t plain_bytes = 256ull << 30;
  // Decompressed bytes, and bytes stored in the blob, per byte that arrived, on top of a base.
  uint64_t plain_base = 16ull << 30;
  uint64_t plain_ratio = 1100;  // just above what deflate can reach
  uint64_t stored_base = 1ull << 30;
  uint64_t stored_ratio = 200;
};

// The tree that one layer archive describes, by image-spec's layer.md: entries applied in order,
// parents made, hard links and parent symlinks resolved inside the layer only, whiteouts put into
// overlayfs' form once everything is known (they concern the layers below, never this one, wherever
// they stand in the archive). Paths are cleaned and cannot leave the root.
class LayerTree {
 public:
  explicit LayerTree(const LayerLimits& limits) : limits_(limits) {}

  struct Entry {
    std::string path;
    std::optional<std::string> hard_link;  // path of an earlier entry; then `inode` is unused
    erofs::Inode inode;
  };
  // Returns the inode that the entry made; nullopt where it made none (hard links, whiteouts,
  // directories). kInvalidArgument naming the path where the entry cannot be applied.
  Result<std::optional<erofs::InodeIndex>> Apply(Entry entry);
  erofs::Inode& at(erofs::InodeIndex index) { return tree_.at(index); }

  erofs::FileTree Finish();

 private:
  Result<std::vector<std::string>> Split(std::string_view path) const;
  Result<erofs::InodeIndex> ResolveParent(const std::vector<std::string>& components,
                                          const std::string& path);
  Result<erofs::InodeIndex> Walk(std::vector<std::string> pending, const std::string& path);
  Status ApplyToRoot(Entry& entry);
  // True where the name was a whiteout and is dealt with.
  Result<bool> ApplyWhiteout(erofs::InodeIndex parent, const std::string& name,
                             const std::string& path);
  Status ApplyHardLink(erofs::InodeIndex parent, const std::string& name, const Entry& entry);
  void Replace(erofs::InodeIndex parent, const std::string& name, erofs::InodeIndex with);
  Status CheckEntry(Entry& entry);
  Status Count(uint64_t metadata_bytes);

  LayerLimits limits_;
  erofs::FileTree tree_;
  uint64_t entries_ = 0;
  uint64_t metadata_bytes_ = 0;
  std::set<erofs::InodeIndex> opaque_;
  std::map<erofs::InodeIndex, std::set<std::string>> whiteouts_;  // by directory
  // The parent of the entry before: archives list a directory's files together.
  std::vector<std::string> cached_components_;
  erofs::InodeIndex cached_parent_ = erofs::FileTree::kRoot;
};

}  // namespace catamaran

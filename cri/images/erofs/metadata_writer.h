#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cri/images/erofs/output.h"
#include "cri/images/erofs/tree.h"
#include "sandbox/base/result.h"

namespace catamaran::erofs {

using Uuid = std::array<unsigned char, 16>;
// An RFC 4122 shaped id made from the first hexadecimal digits of a digest.
Uuid UuidFromHex(std::string_view hex);

// Lays out and writes the inodes and directories of a tree whose file data already has its place.
// The inode table comes first (in breadth-first, sorted order, so equal trees give equal bytes),
// then the blocks of directories and symlinks that are too long to sit beside their inode. Regular
// files are never inline: their pages can then be mapped straight from the image (DAX).
class MetadataWriter {
 public:
  explicit MetadataWriter(const FileTree& tree) : tree_(tree) {}

  // Assigns every place; metadata will begin at `start_block`. kResourceExhausted where an inode
  // or the whole does not fit the format.
  Status Plan(uint64_t start_block);
  uint64_t end_block() const { return start_block_ + inode_blocks_ + extra_blocks_; }
  // Appends the planned blocks; the output must stand at the start block.
  Status Write(Output& output);
  // Block 0 of an image of `total_blocks`.
  std::string FirstBlock(uint64_t total_blocks, const Uuid& uuid) const;

 private:
  struct Place {
    uint64_t offset = 0;  // in the inode table
    uint64_t block = 0;   // of directory or symlink data outside the inode
    uint64_t size = 0;    // of a directory's entries
    uint32_t xattr_bytes = 0;
    uint32_t nlink = 0;
    InodeIndex parent = 0;
    Layout layout = Layout::kFlatPlain;
  };
  struct Entry {
    std::string_view name;
    InodeIndex inode;
  };

  void Visit();
  Status PlaceInode(InodeIndex index, uint64_t& offset, uint64_t& extra);
  uint64_t InlineTail(const Inode& inode, const Place& place) const;
  std::string EncodeInode(InodeIndex index) const;
  uint32_t InodeUnion(const Inode& inode, const Place& place) const;
  Status WriteInode(Output& output, InodeIndex index, uint64_t base);
  Status WriteChunkMap(Output& output, const Inode& inode);
  std::vector<Entry> Entries(InodeIndex directory) const;
  uint64_t DirectorySize(InodeIndex directory) const;
  std::string EncodeDirectory(InodeIndex directory) const;
  void EncodeDirectoryBlock(const Entry* first, const Entry* last, std::string& out) const;

  const FileTree& tree_;
  uint64_t start_block_ = 0;
  uint64_t inode_blocks_ = 0;
  uint64_t extra_blocks_ = 0;
  bool has_chunks_ = false;
  std::vector<InodeIndex> order_;
  std::vector<Place> places_;  // by inode index
};

}  // namespace catamaran::erofs

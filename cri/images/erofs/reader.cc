#include "cri/images/erofs/reader.h"

#include <sys/sysmacros.h>

#include <string>
#include <unordered_map>

#include "cri/images/erofs/output.h"

namespace catamaran::erofs {
namespace {

constexpr uint64_t kMaximumMetadata = 1ull << 30;

dev_t DecodeDevice(uint32_t value) {
  return makedev((value >> 8) & 0xfff, (value & 0xff) | ((value >> 12) & 0xfff00));
}

class Reader {
 public:
  Reader(int fd, uint64_t size) : fd_(fd), size_(size) {}

  Result<FileTree> Read() {
    ASSIGN_OR_RETURN(const uint64_t root, ReadSuperblock());
    RETURN_IF_ERROR(ReadInode(root, tree_.at(FileTree::kRoot)));
    if (!tree_.at(FileTree::kRoot).IsDirectory()) return Damaged("the root is no directory");
    by_nid_[root] = FileTree::kRoot;
    nids_.push_back(root);
    for (InodeIndex next = 0; next < nids_.size(); ++next)
      if (tree_.at(next).IsDirectory()) RETURN_IF_ERROR(ReadDirectory(next));
    return std::move(tree_);
  }

 private:
  static tl::unexpected<Error> Damaged(std::string_view what) {
    return Fail(ErrorCode::kDataLoss, "the image is damaged: {}", what);
  }

  Result<uint64_t> ReadSuperblock() {
    std::string block(kBlockSize, '\0');
    RETURN_IF_ERROR(ReadExactly(fd_, block.data(), block.size(), 0));
    char* at = block.data() + kSuperblockOffset;
    if (Get32(at + superblock_at::kMagic) != kMagic) return Damaged("no superblock");
    const uint32_t checksum = Get32(at + superblock_at::kChecksum);
    Put32(at + superblock_at::kChecksum, 0);
    if (Crc32c(~0u, at, kBlockSize - kSuperblockOffset) != checksum)
      return Damaged("the superblock's checksum is wrong");
    const uint64_t start = uint64_t{Get32(at + superblock_at::kMetaBlock)} * kBlockSize;
    if (at[superblock_at::kBlockBits] != kBlockBits || start >= size_ ||
        uint64_t{Get32(at + superblock_at::kBlocks)} * kBlockSize != size_)
      return Damaged("the superblock does not fit the file");
    if (size_ - start > kMaximumMetadata) return Damaged("the metadata area is too large");
    meta_start_ = start;
    meta_.resize(size_ - start);
    RETURN_IF_ERROR(ReadExactly(fd_, meta_.data(), meta_.size(), start));
    return uint64_t{Get16(at + superblock_at::kRootNid)};
  }

  // `size` bytes at an offset of the metadata area; nullptr where they are not all inside.
  const char* At(uint64_t offset, uint64_t size) const {
    if (offset > meta_.size() || size > meta_.size() - offset) return nullptr;
    return meta_.data() + offset;
  }

  Status ReadInode(uint64_t nid, Inode& inode) {
    if (nid > meta_.size() / inode_at::kAlign) return Damaged("an inode lies outside");
    const uint64_t offset = nid * inode_at::kAlign;
    const char* at = At(offset, inode_at::kBytes);
    if (at == nullptr) return Damaged("an inode lies outside");
    const uint16_t format = Get16(at + inode_at::kFormat);
    const auto layout = static_cast<Layout>(format >> 1);
    if ((format & 1) == 0 || ExtendedFormat(layout) != format) return Damaged("an inode's format");
    inode = Inode{};
    inode.mode = Get16(at + inode_at::kMode);
    inode.uid = Get32(at + inode_at::kUid);
    inode.gid = Get32(at + inode_at::kGid);
    inode.mtime = static_cast<int64_t>(Get64(at + inode_at::kMtime));
    inode.mtime_nsec = Get32(at + inode_at::kMtimeNsec);
    inode.size = Get64(at + inode_at::kSize);
    const uint32_t number = Get32(at + inode_at::kUnion);
    const uint64_t xattr_bytes = XattrBytes(Get16(at + inode_at::kXattrCount));
    RETURN_IF_ERROR(ReadXattrs(offset + inode_at::kBytes, xattr_bytes, inode));
    const uint64_t behind = offset + inode_at::kBytes + xattr_bytes;
    switch (inode.mode & S_IFMT) {
      case S_IFREG:
        return ReadFileData(layout, number, behind, inode);
      case S_IFDIR:
        inode.children = std::make_unique<std::map<std::string, InodeIndex>>();
        return {};
      case S_IFLNK:
        return ReadInMetadata(layout, number, behind, inode.size, inode.target);
      case S_IFCHR:
      case S_IFBLK:
        inode.device = DecodeDevice(number);
        return {};
      case S_IFIFO:
      case S_IFSOCK:
        return {};
      default:
        return Damaged("an inode's type");
    }
  }

  Status ReadXattrs(uint64_t offset, uint64_t bytes, Inode& inode) {
    if (bytes == 0) return {};
    const char* at = At(offset, bytes);
    if (at == nullptr || at[4] != 0) return Damaged("extended attributes lie outside");
    for (uint64_t used = kXattrHeaderBytes; used < bytes;) {
      if (bytes - used < kXattrEntryBytes) return Damaged("an extended attribute is cut off");
      const auto name_size = static_cast<unsigned char>(at[used]);
      const auto index = static_cast<unsigned char>(at[used + 1]);
      const uint16_t value_size = Get16(at + used + 2);
      if (bytes - used - kXattrEntryBytes < uint64_t{name_size} + value_size)
        return Damaged("an extended attribute is cut off");
      const char* name = at + used + kXattrEntryBytes;
      for (const auto& prefix : kXattrPrefixes) {
        if (prefix.index != index) continue;
        inode.xattrs.push_back({std::string(prefix.prefix) + std::string(name, name_size),
                                std::string(name + name_size, value_size)});
      }
      used += AlignUp(kXattrEntryBytes + name_size + value_size, 4);
    }
    if (inode.FindXattr(kImplicitXattr) != nullptr) {
      inode.implicit = true;
      std::erase_if(inode.xattrs, [](const Xattr& x) { return x.name == kImplicitXattr; });
    }
    return {};
  }

  Status ReadFileData(Layout layout, uint32_t number, uint64_t behind, Inode& inode) {
    if (layout == Layout::kFlatPlain) {
      if (inode.size != 0 && uint64_t{number} + BlocksOf(inode.size) > meta_start_ / kBlockSize)
        return Damaged("a file's data lies outside");
      inode.first_block = number;
      return {};
    }
    if (layout != Layout::kChunkBased || (number & ~uint32_t{kChunkBitsMask}) != 0)
      return Damaged("a file's layout");
    auto map = std::make_unique<ChunkMap>();
    map->bits = static_cast<uint8_t>(number);
    const uint64_t chunks = (BlocksOf(inode.size) + (1ull << map->bits) - 1) >> map->bits;
    const char* at = chunks > meta_.size() ? nullptr : At(behind, chunks * 4);
    if (at == nullptr) return Damaged("a chunk map lies outside");
    for (uint64_t chunk = 0; chunk < chunks; ++chunk) {
      const uint32_t block = Get32(at + chunk * 4);
      if (block == kNoBlock) continue;
      const uint64_t blocks =
          std::min(uint64_t{1} << map->bits, BlocksOf(inode.size) - (chunk << map->bits));
      if (block + blocks > meta_start_ / kBlockSize) return Damaged("a chunk lies outside");
      ChunkRun* last = map->runs.empty() ? nullptr : &map->runs.back();
      if (last != nullptr && last->chunk + last->count == chunk &&
          last->block + (last->count << map->bits) == block)
        ++last->count;
      else
        map->runs.push_back({chunk, 1, block});
    }
    inode.chunks = std::move(map);
    return {};
  }

  // The data of a directory or symlink: whole blocks at `block`, an inline tail at `behind`.
  Status ReadInMetadata(Layout layout, uint32_t block, uint64_t behind, uint64_t size,
                        std::string& data) {
    const uint64_t tail = layout == Layout::kFlatInline ? size % kBlockSize : 0;
    const uint64_t plain = size - tail;
    if (plain > 0) {
      const uint64_t start = uint64_t{block} * kBlockSize;
      const char* at = start < meta_start_ ? nullptr : At(start - meta_start_, plain);
      if (at == nullptr) return Damaged("a directory's data lies outside");
      data.assign(at, plain);
    }
    if (tail > 0) {
      const char* at = At(behind, tail);
      if (at == nullptr) return Damaged("inline data lies outside");
      data.append(at, tail);
    }
    return {};
  }

  Status ReadDirectory(InodeIndex directory) {
    const char* at = At(nids_[directory] * inode_at::kAlign, inode_at::kBytes);
    const uint64_t behind = nids_[directory] * inode_at::kAlign + inode_at::kBytes +
                            XattrBytes(Get16(at + inode_at::kXattrCount));
    std::string data;
    RETURN_IF_ERROR(ReadInMetadata(static_cast<Layout>(Get16(at) >> 1),
                                   Get32(at + inode_at::kUnion), behind, tree_.at(directory).size,
                                   data));
    for (size_t start = 0; start < data.size(); start += kBlockSize)
      RETURN_IF_ERROR(
          ReadDirectoryBlock(directory, std::string_view(data).substr(start, kBlockSize)));
    tree_.at(directory).size = 0;
    return {};
  }

  Status ReadDirectoryBlock(InodeIndex directory, std::string_view block) {
    if (block.size() < kDirentBytes) return Damaged("a directory block is cut off");
    const size_t names = Get16(block.data() + 8);
    if (names < kDirentBytes || names > block.size() || names % kDirentBytes != 0)
      return Damaged("a directory's name offsets");
    for (size_t at = 0; at < names; at += kDirentBytes) {
      const size_t begin = Get16(block.data() + at + 8);
      const bool last = at + kDirentBytes == names;
      const size_t end = last ? block.size() : Get16(block.data() + at + kDirentBytes + 8);
      if (begin < names || end > block.size() || begin >= end)
        return Damaged("a directory's name offsets");
      std::string name(block.substr(begin, end - begin));
      if (last) name.resize(strnlen(name.data(), name.size()));
      RETURN_IF_ERROR(AddChild(directory, name, Get64(block.data() + at)));
    }
    return {};
  }

  Status AddChild(InodeIndex directory, const std::string& name, uint64_t nid) {
    if (name == "." || name == "..") return {};
    if (name.empty() || name.size() > kMaximumName ||
        name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
      return Damaged("a name in a directory");
    const auto known = by_nid_.find(nid);
    InodeIndex index = 0;
    if (known != by_nid_.end()) {
      index = known->second;
      if (tree_.at(index).IsDirectory()) return Damaged("a directory has two parents");
    } else {
      Inode inode;
      RETURN_IF_ERROR(ReadInode(nid, inode));
      index = tree_.Add(std::move(inode));
      by_nid_[nid] = index;
      nids_.push_back(nid);
    }
    if (!tree_.at(directory).children->emplace(name, index).second)
      return Damaged("a name is twice in a directory");
    return {};
  }

  int fd_;
  uint64_t size_;
  uint64_t meta_start_ = 0;
  std::vector<char> meta_;
  FileTree tree_;
  std::vector<uint64_t> nids_;  // by inode index
  std::unordered_map<uint64_t, InodeIndex> by_nid_;
};

}  // namespace

Result<FileTree> ReadTree(int fd, uint64_t size) { return Reader(fd, size).Read(); }

}  // namespace catamaran::erofs

#include "cri/images/erofs/metadata_writer.h"

#include <sys/sysmacros.h>

#include <algorithm>

namespace catamaran::erofs {
namespace {

// The table starts with an unused slot pair: inode number 0 means "deleted" to readdir(3).
constexpr uint64_t kFirstInode = 64;

uint64_t XattrBytes(const Inode& inode) {
  if (inode.xattrs.empty() && !inode.implicit) return 0;
  uint64_t bytes = kXattrHeaderBytes;
  const auto add = [&](std::string_view name, size_t value_size) {
    const XattrPrefix* prefix = FindXattrPrefix(name);
    bytes += AlignUp(kXattrEntryBytes + name.size() - prefix->prefix.size() + value_size, 4);
  };
  for (const auto& xattr : inode.xattrs) add(xattr.name, xattr.value.size());
  if (inode.implicit) add(kImplicitXattr, 1);
  return bytes;
}

void EncodeXattrs(const Inode& inode, std::string& out) {
  std::vector<Xattr> xattrs = inode.xattrs;
  if (inode.implicit) xattrs.push_back({kImplicitXattr, "y"});
  if (xattrs.empty()) return;
  std::sort(xattrs.begin(), xattrs.end(),
            [](const Xattr& a, const Xattr& b) { return a.name < b.name; });
  out.append(kXattrHeaderBytes, '\0');
  for (const auto& xattr : xattrs) {
    const XattrPrefix* prefix = FindXattrPrefix(xattr.name);
    const std::string_view name = std::string_view(xattr.name).substr(prefix->prefix.size());
    char entry[kXattrEntryBytes];
    entry[0] = static_cast<char>(name.size());
    entry[1] = static_cast<char>(prefix->index);
    Put16(entry + 2, static_cast<uint16_t>(xattr.value.size()));
    out.append(entry, sizeof(entry)).append(name).append(xattr.value);
    out.append(AlignUp(out.size(), 4) - out.size(), '\0');
  }
}

uint8_t DirentType(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 1;
    case S_IFDIR:
      return 2;
    case S_IFCHR:
      return 3;
    case S_IFBLK:
      return 4;
    case S_IFIFO:
      return 5;
    case S_IFSOCK:
      return 6;
    case S_IFLNK:
      return 7;
    default:
      return 0;
  }
}

// The kernel's new_encode_dev().
uint32_t EncodeDevice(dev_t device) {
  const uint32_t low = minor(device);
  return (low & 0xff) | (major(device) << 8) | ((low & ~0xffu) << 12);
}

}  // namespace

Uuid UuidFromHex(std::string_view hex) {
  Uuid uuid{};
  for (size_t i = 0; i < uuid.size() && 2 * i + 1 < hex.size(); ++i)
    uuid[i] = static_cast<unsigned char>(std::stoi(std::string(hex.substr(2 * i, 2)), nullptr, 16));
  uuid[6] = (uuid[6] & 0x0f) | 0x80;  // version 8: vendor specific (RFC 9562)
  uuid[8] = (uuid[8] & 0x3f) | 0x80;
  return uuid;
}

void MetadataWriter::Visit() {
  places_.assign(tree_.size(), Place{});
  order_.assign(1, FileTree::kRoot);
  places_[FileTree::kRoot].nlink = 2;
  for (size_t next = 0; next < order_.size(); ++next) {
    const InodeIndex index = order_[next];
    const Inode& inode = tree_.at(index);
    if (!inode.children) continue;
    for (const auto& [name, child] : *inode.children) {
      Place& place = places_[child];
      if (place.nlink == 0) order_.push_back(child);
      if (tree_.at(child).IsDirectory()) {
        place.nlink = 2;
        place.parent = index;
        ++places_[index].nlink;
      } else {
        ++place.nlink;
      }
    }
  }
}

Status MetadataWriter::Plan(uint64_t start_block) {
  start_block_ = start_block;
  Visit();
  uint64_t offset = kFirstInode;
  uint64_t extra = 0;  // blocks outside the table so far
  for (const InodeIndex index : order_) RETURN_IF_ERROR(PlaceInode(index, offset, extra));
  inode_blocks_ = BlocksOf(offset);
  extra_blocks_ = extra;
  for (const InodeIndex index : order_) places_[index].block += start_block_ + inode_blocks_;
  if (end_block() >= kNoBlock)
    return Fail(ErrorCode::kResourceExhausted, "the image needs {} blocks of 4 KiB", end_block());
  return {};
}

Status MetadataWriter::PlaceInode(InodeIndex index, uint64_t& offset, uint64_t& extra) {
  const Inode& inode = tree_.at(index);
  Place& place = places_[index];
  const uint64_t xattr_bytes = XattrBytes(inode);
  if (xattr_bytes > kMaximumXattrBytes)
    return Fail(ErrorCode::kResourceExhausted, "an inode's extended attributes need {} bytes",
                xattr_bytes);
  place.xattr_bytes = static_cast<uint32_t>(xattr_bytes);
  if (inode.IsDirectory()) place.size = DirectorySize(index);
  if (S_ISLNK(inode.mode)) place.size = inode.target.size();

  const uint64_t fixed = inode_at::kBytes + xattr_bytes;
  const uint64_t tail = place.size % kBlockSize;
  uint64_t together = inode_at::kBytes;  // what must lie within one block
  if (tail != 0 && fixed + tail <= kBlockSize) {
    place.layout = Layout::kFlatInline;
    together = fixed + tail;
  } else if (inode.chunks) {
    place.layout = Layout::kChunkBased;
    has_chunks_ = true;
  }
  offset = AlignUp(offset, inode_at::kAlign);
  if (offset % kBlockSize + together > kBlockSize) offset = AlignUp(offset, kBlockSize);
  place.offset = offset;
  offset += fixed;
  if (place.layout == Layout::kFlatInline) offset += tail;
  if (place.layout == Layout::kChunkBased)
    offset += 4 * ((BlocksOf(inode.size) + (1ull << inode.chunks->bits) - 1) >> inode.chunks->bits);
  place.block = extra;
  extra += place.layout == Layout::kFlatInline ? place.size / kBlockSize : BlocksOf(place.size);
  return {};
}

Status MetadataWriter::Write(Output& output) {
  const uint64_t base = output.position();
  for (const InodeIndex index : order_) RETURN_IF_ERROR(WriteInode(output, index, base));
  RETURN_IF_ERROR(output.AlignTo(kBlockSize));
  for (const InodeIndex index : order_) {
    const Place& place = places_[index];
    const bool is_inline = place.layout == Layout::kFlatInline;
    if (place.size == 0 || (is_inline && place.size < kBlockSize)) continue;
    const std::string data =
        tree_.at(index).IsDirectory() ? EncodeDirectory(index) : tree_.at(index).target;
    RETURN_IF_ERROR(output.Append(std::string_view(data).substr(
        0, is_inline ? data.size() / kBlockSize * kBlockSize : data.size())));
    RETURN_IF_ERROR(output.AlignTo(kBlockSize));
  }
  return {};
}

Status MetadataWriter::WriteInode(Output& output, InodeIndex index, uint64_t base) {
  const Inode& inode = tree_.at(index);
  const Place& place = places_[index];
  RETURN_IF_ERROR(output.AppendZeros(base + place.offset - output.position()));
  RETURN_IF_ERROR(output.Append(EncodeInode(index)));
  if (place.layout == Layout::kChunkBased) return WriteChunkMap(output, inode);
  if (place.layout == Layout::kFlatInline) {
    const std::string data = inode.IsDirectory() ? EncodeDirectory(index) : inode.target;
    return output.Append(std::string_view(data).substr(data.size() / kBlockSize * kBlockSize));
  }
  return {};
}

Status MetadataWriter::WriteChunkMap(Output& output, const Inode& inode) {
  const uint8_t bits = inode.chunks->bits;
  const uint64_t chunks = (BlocksOf(inode.size) + (1ull << bits) - 1) >> bits;
  uint64_t next = 0;
  char entry[4];
  const auto put = [&](uint32_t block) {
    Put32(entry, block);
    ++next;
    return output.Append(entry, sizeof(entry));
  };
  for (const ChunkRun& run : inode.chunks->runs) {
    while (next < run.chunk) RETURN_IF_ERROR(put(kNoBlock));
    for (uint64_t i = 0; i < run.count; ++i)
      RETURN_IF_ERROR(put(static_cast<uint32_t>(run.block + (i << bits))));
  }
  while (next < chunks) RETURN_IF_ERROR(put(kNoBlock));
  return {};
}

uint32_t MetadataWriter::InodeUnion(const Inode& inode, const Place& place) const {
  if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode)) return EncodeDevice(inode.device);
  if (place.layout == Layout::kChunkBased) return inode.chunks->bits;
  if (S_ISREG(inode.mode)) return inode.first_block;
  return place.size == 0 ? 0 : static_cast<uint32_t>(place.block);
}

std::string MetadataWriter::EncodeInode(InodeIndex index) const {
  const Inode& inode = tree_.at(index);
  const Place& place = places_[index];
  std::string out(inode_at::kBytes, '\0');
  char* at = out.data();
  Put16(at + inode_at::kFormat, ExtendedFormat(place.layout));
  Put16(at + inode_at::kXattrCount,
        place.xattr_bytes == 0
            ? 0
            : static_cast<uint16_t>(1 + (place.xattr_bytes - kXattrHeaderBytes) / 4));
  Put16(at + inode_at::kMode, static_cast<uint16_t>(inode.mode));
  Put64(at + inode_at::kSize, S_ISREG(inode.mode) ? inode.size : place.size);
  Put32(at + inode_at::kUnion, InodeUnion(inode, place));
  Put32(at + inode_at::kNumber, static_cast<uint32_t>(place.offset / inode_at::kAlign));
  Put32(at + inode_at::kUid, inode.uid);
  Put32(at + inode_at::kGid, inode.gid);
  Put64(at + inode_at::kMtime, static_cast<uint64_t>(inode.mtime));
  Put32(at + inode_at::kMtimeNsec, inode.mtime_nsec);
  Put32(at + inode_at::kNlink, place.nlink);
  EncodeXattrs(inode, out);
  return out;
}

// Names sorted as bytes, with "." and ".." among them: the kernel looks up by binary search.
std::vector<MetadataWriter::Entry> MetadataWriter::Entries(InodeIndex directory) const {
  std::vector<Entry> entries;
  entries.reserve(tree_.at(directory).children->size() + 2);
  entries.push_back({".", directory});
  entries.push_back({"..", places_[directory].parent});
  for (const auto& [name, child] : *tree_.at(directory).children) entries.push_back({name, child});
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

uint64_t MetadataWriter::DirectorySize(InodeIndex directory) const {
  uint64_t full = 0;
  uint64_t used = 0;
  for (const Entry& entry : Entries(directory)) {
    const uint64_t need = kDirentBytes + entry.name.size();
    if (used + need > kBlockSize) {
      ++full;
      used = 0;
    }
    used += need;
  }
  return full * kBlockSize + used;
}

std::string MetadataWriter::EncodeDirectory(InodeIndex directory) const {
  const std::vector<Entry> entries = Entries(directory);
  std::string out;
  const Entry* first = entries.data();
  const Entry* const end = first + entries.size();
  while (first != end) {
    uint64_t used = 0;
    const Entry* last = first;
    while (last != end && used + kDirentBytes + last->name.size() <= kBlockSize) {
      used += kDirentBytes + last->name.size();
      ++last;
    }
    EncodeDirectoryBlock(first, last, out);
    if (last != end) out.resize(AlignUp(out.size(), kBlockSize));
    first = last;
  }
  return out;
}

void MetadataWriter::EncodeDirectoryBlock(const Entry* first, const Entry* last,
                                          std::string& out) const {
  size_t name_offset = kDirentBytes * static_cast<size_t>(last - first);
  for (const Entry* entry = first; entry != last; ++entry) {
    char dirent[kDirentBytes] = {};
    Put64(dirent, places_[entry->inode].offset / inode_at::kAlign);
    Put16(dirent + 8, static_cast<uint16_t>(name_offset));
    dirent[10] = static_cast<char>(DirentType(tree_.at(entry->inode).mode));
    out.append(dirent, sizeof(dirent));
    name_offset += entry->name.size();
  }
  for (const Entry* entry = first; entry != last; ++entry) out.append(entry->name);
}

std::string MetadataWriter::FirstBlock(uint64_t total_blocks, const Uuid& uuid) const {
  std::string block(kBlockSize, '\0');
  char* at = block.data() + kSuperblockOffset;
  Put32(at + superblock_at::kMagic, kMagic);
  Put32(at + superblock_at::kFeatureCompat, kCompatChecksum | kCompatMtime);
  at[superblock_at::kBlockBits] = kBlockBits;
  Put16(at + superblock_at::kRootNid,
        static_cast<uint16_t>(places_[FileTree::kRoot].offset / inode_at::kAlign));
  Put64(at + superblock_at::kInodes, order_.size());
  Put32(at + superblock_at::kBlocks, static_cast<uint32_t>(total_blocks));
  Put32(at + superblock_at::kMetaBlock, static_cast<uint32_t>(start_block_));
  std::memcpy(at + superblock_at::kUuid, uuid.data(), uuid.size());
  Put32(at + superblock_at::kFeatureIncompat, has_chunks_ ? kIncompatChunkedFile : 0);
  Put32(at + superblock_at::kChecksum, Crc32c(~0u, at, kBlockSize - kSuperblockOffset));
  return block;
}

}  // namespace catamaran::erofs

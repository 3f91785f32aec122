#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

// The EROFS on-disk format, as far as we write it (kernel: Documentation/filesystems/erofs.rst and
// fs/erofs/erofs_fs.h). All numbers are little-endian. Structures are written and read by offset,
// so nothing depends on the compiler or the machine.
namespace catamaran::erofs {

constexpr uint32_t kBlockSize = 4096;
constexpr uint32_t kBlockBits = 12;
constexpr uint32_t kNoBlock = 0xffffffff;  // a hole in a chunk map

constexpr uint32_t kMagic = 0xe0f5e1e2;
constexpr uint64_t kSuperblockOffset = 1024;
constexpr uint32_t kSuperblockSize = 128;
constexpr uint32_t kCompatChecksum = 0x1;
constexpr uint32_t kCompatMtime = 0x2;
constexpr uint32_t kIncompatChunkedFile = 0x4;

namespace superblock_at {  // offsets from kSuperblockOffset
constexpr size_t kMagic = 0, kChecksum = 4, kFeatureCompat = 8, kBlockBits = 12, kRootNid = 14,
                 kInodes = 16, kBlocks = 36, kMetaBlock = 40, kUuid = 48, kFeatureIncompat = 80;
}

namespace inode_at {  // offsets in an extended inode
constexpr size_t kFormat = 0, kXattrCount = 2, kMode = 4, kSize = 8, kUnion = 16, kNumber = 20,
                 kUid = 24, kGid = 28, kMtime = 32, kMtimeNsec = 40, kNlink = 44;
constexpr size_t kBytes = 64;
constexpr size_t kAlign = 32;  // one nid per slot of 32 bytes
}  // namespace inode_at

enum class Layout : uint16_t { kFlatPlain = 0, kFlatInline = 2, kChunkBased = 4 };
constexpr uint16_t ExtendedFormat(Layout layout) {
  return static_cast<uint16_t>(1 | (static_cast<uint16_t>(layout) << 1));
}
constexpr uint16_t kChunkBitsMask = 0x1f;

constexpr size_t kDirentBytes = 12;  // u64 nid, u16 name offset, u8 type, u8 reserved
constexpr size_t kMaximumName = 255;

constexpr size_t kXattrHeaderBytes = 12;
constexpr size_t kXattrEntryBytes = 4;  // u8 name length, u8 name index, u16 value size
constexpr size_t kMaximumXattrValue = 65535;
// What an inode's 16-bit count of extended attributes stands for.
constexpr size_t XattrBytes(uint16_t count) {
  return count == 0 ? 0 : kXattrHeaderBytes + size_t{4} * (count - 1u);
}
constexpr size_t kMaximumXattrBytes = XattrBytes(65535);

struct XattrPrefix {
  uint8_t index;
  std::string_view prefix;
  bool whole;  // the prefix is the whole name
};
constexpr XattrPrefix kXattrPrefixes[] = {
    {1, "user.", false},
    {2, "system.posix_acl_access", true},
    {3, "system.posix_acl_default", true},
    {4, "trusted.", false},
    {6, "security.", false},
};
// nullptr where EROFS cannot hold an attribute of this name.
const XattrPrefix* FindXattrPrefix(std::string_view name);

inline void Put16(char* at, uint16_t value) {
  for (int i = 0; i < 2; ++i) at[i] = static_cast<char>(value >> (8 * i));
}
inline void Put32(char* at, uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<char>(value >> (8 * i));
}
inline void Put64(char* at, uint64_t value) {
  for (int i = 0; i < 8; ++i) at[i] = static_cast<char>(value >> (8 * i));
}
inline uint64_t Get(const char* at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i)
    value |= static_cast<uint64_t>(static_cast<unsigned char>(at[i])) << (8 * i);
  return value;
}
inline uint16_t Get16(const char* at) { return static_cast<uint16_t>(Get(at, 2)); }
inline uint32_t Get32(const char* at) { return static_cast<uint32_t>(Get(at, 4)); }
inline uint64_t Get64(const char* at) { return Get(at, 8); }

constexpr uint64_t AlignUp(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}
constexpr uint64_t BlocksOf(uint64_t bytes) { return (bytes + kBlockSize - 1) / kBlockSize; }

}  // namespace catamaran::erofs

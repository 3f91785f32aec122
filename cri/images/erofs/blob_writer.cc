#include "cri/images/erofs/blob_writer.h"

#include <algorithm>
#include <cstring>

namespace catamaran::erofs {
namespace {

constexpr uint8_t kSmallestChunkBits = 4;  // 64 KiB
constexpr uint8_t kLargestChunkBits = 18;  // 1 GiB
constexpr uint64_t kHoleThreshold = 128 << 10;
constexpr uint64_t kMaximumChunks = 1 << 20;  // a map of 4 MiB

uint8_t ChunkBitsFor(uint64_t size, uint64_t maximum_chunks) {
  uint8_t bits = kSmallestChunkBits;
  while (bits < kLargestChunkBits && (size >> (kBlockBits + bits)) >= maximum_chunks) ++bits;
  return bits;
}

// How many of the first bytes are zero.
size_t LeadingZeros(std::string_view data) {
  static const char kZeros[kBlockSize] = {};
  size_t at = 0;
  while (data.size() - at >= sizeof(kZeros) &&
         std::memcmp(data.data() + at, kZeros, sizeof(kZeros)) == 0)
    at += sizeof(kZeros);
  while (at < data.size() && data[at] == '\0') ++at;
  return at;
}

}  // namespace

Status BlobWriter::BeginFile(uint64_t size) {
  file_size_ = size;
  file_position_ = 0;
  find_holes_ = size >= kHoleThreshold;
  chunk_bits_ = ChunkBitsFor(size, kMaximumChunks);
  if ((size >> (kBlockBits + chunk_bits_)) > kMaximumChunks)
    return Fail(ErrorCode::kResourceExhausted, "a file of {} bytes is larger than {} GiB", size,
                (kMaximumChunks << (kBlockBits + kLargestChunkBits)) >> 30);
  chunk_stored_ = false;
  map_ = ChunkMap{};
  map_.bits = chunk_bits_;
  start_block_ = output_.position() / kBlockSize;
  return {};
}

Status BlobWriter::StartChunk() {
  const uint64_t chunk = file_position_ / chunk_bytes();
  const auto block = static_cast<uint32_t>(output_.position() / kBlockSize);
  if (output_.position() / kBlockSize >= kNoBlock)
    return Fail(ErrorCode::kResourceExhausted, "the image is larger than 16 TiB");
  if (!map_.runs.empty() && map_.runs.back().chunk + map_.runs.back().count == chunk)
    ++map_.runs.back().count;
  else
    map_.runs.push_back(ChunkRun{chunk, 1, block});
  chunk_stored_ = true;
  return output_.AppendZeros(file_position_ % chunk_bytes());
}

Status BlobWriter::WriteZerosWithinChunk(uint64_t count) {
  if (chunk_stored_) RETURN_IF_ERROR(output_.AppendZeros(count));
  file_position_ += count;
  if (find_holes_ && file_position_ % chunk_bytes() == 0) chunk_stored_ = false;
  return {};
}

Status BlobWriter::WriteZeros(uint64_t count) {
  while (count > 0) {
    uint64_t piece = count;
    if (find_holes_) {
      const uint64_t left = chunk_bytes() - file_position_ % chunk_bytes();
      // Whole chunks of a hole need no look at each.
      piece = chunk_stored_ || left != chunk_bytes()
                  ? std::min(count, left)
                  : std::max(count / left * left, std::min(count, left));
    }
    RETURN_IF_ERROR(WriteZerosWithinChunk(piece));
    count -= piece;
  }
  return {};
}

Status BlobWriter::WriteWithinChunk(std::string_view data) {
  if (find_holes_ && !chunk_stored_) {
    const size_t zeros = LeadingZeros(data);
    RETURN_IF_ERROR(WriteZerosWithinChunk(zeros));
    data.remove_prefix(zeros);
    if (data.empty()) return {};
    RETURN_IF_ERROR(StartChunk());
  }
  RETURN_IF_ERROR(output_.Append(data));
  file_position_ += data.size();
  if (find_holes_ && file_position_ % chunk_bytes() == 0) chunk_stored_ = false;
  return {};
}

Status BlobWriter::Write(uint64_t offset, std::string_view data) {
  if (offset < file_position_ || offset > file_size_ || data.size() > file_size_ - offset)
    return Fail(ErrorCode::kInvalidArgument,
                "file data at {} of {} bytes lies outside the file or overlaps", offset,
                data.size());
  if (!find_holes_) chunk_stored_ = true;  // every zero of a small file is written
  RETURN_IF_ERROR(WriteZeros(offset - file_position_));
  while (!data.empty()) {
    const uint64_t left =
        find_holes_ ? chunk_bytes() - file_position_ % chunk_bytes() : data.size();
    const size_t piece = std::min<uint64_t>(data.size(), left);
    RETURN_IF_ERROR(WriteWithinChunk(data.substr(0, piece)));
    data.remove_prefix(piece);
  }
  return {};
}

Status BlobWriter::EndFile(Inode& inode) {
  if (!find_holes_) chunk_stored_ = true;
  RETURN_IF_ERROR(WriteZeros(file_size_ - file_position_));
  RETURN_IF_ERROR(output_.AlignTo(kBlockSize));
  inode.size = file_size_;
  inode.first_block = file_size_ == 0 ? 0 : static_cast<uint32_t>(start_block_);
  inode.chunks.reset();
  if (!find_holes_) return {};
  const uint64_t chunks = (file_size_ + chunk_bytes() - 1) / chunk_bytes();
  const bool whole = map_.runs.size() == 1 && map_.runs[0].count == chunks;
  if (whole) return {};
  if (map_.runs.empty()) map_.bits = ChunkBitsFor(file_size_, 1);
  inode.first_block = 0;
  inode.chunks = std::make_unique<ChunkMap>(std::move(map_));
  return {};
}

Result<BlobWriter::Summary> BlobWriter::Finish(const FileTree& tree, const Uuid& uuid) {
  MetadataWriter metadata(tree);
  RETURN_IF_ERROR(metadata.Plan(output_.position() / kBlockSize));
  RETURN_IF_ERROR(metadata.Write(output_));
  const uint64_t size = AlignUp(metadata.end_block() * kBlockSize, kImageAlignment);
  if (size / kBlockSize >= kNoBlock)
    return Fail(ErrorCode::kResourceExhausted, "the image is larger than 16 TiB");
  RETURN_IF_ERROR(output_.Finish(size, metadata.FirstBlock(size / kBlockSize, uuid)));
  return Summary{size, output_.checksum()};
}

}  // namespace catamaran::erofs

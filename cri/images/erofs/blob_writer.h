#pragma once

#include <cstdint>

#include "cri/images/erofs/metadata_writer.h"
#include "cri/images/erofs/output.h"
#include "cri/images/erofs/tree.h"
#include "sandbox/base/result.h"

namespace catamaran::erofs {

// A finished image is a multiple of this, so that a VM can map it as persistent memory.
constexpr uint64_t kImageAlignment = 2 << 20;

// Writes one EROFS image front to back while its content arrives: file data as it comes, then the
// metadata, then the superblock. Memory does not depend on the amount of data. Runs of zeros in
// files of 128 KiB or more become holes. Equal input gives equal bytes.
class BlobWriter {
 public:
  // `fd` is the caller's: an empty file opened for writing.
  explicit BlobWriter(int fd) : output_(fd) {}

  // One file at a time; offsets passed to Write ascend, what is left out is zeros.
  Status BeginFile(uint64_t size);
  Status Write(uint64_t offset, std::string_view data);
  // Puts the size and the place of what was written into `inode`.
  Status EndFile(Inode& inode);

  // Bytes of file data on the disk so far, holes not counted.
  uint64_t stored_bytes() const { return output_.position() - kBlockSize; }

  struct Summary {
    uint64_t size_bytes = 0;
    uint32_t checksum = 0;  // see Output::checksum
  };
  Result<Summary> Finish(const FileTree& tree, const Uuid& uuid);

 private:
  Status WriteZeros(uint64_t count);
  Status WriteWithinChunk(std::string_view data);
  Status WriteZerosWithinChunk(uint64_t count);
  Status StartChunk();
  uint64_t chunk_bytes() const { return uint64_t{kBlockSize} << chunk_bits_; }

  Output output_;
  // The file being written.
  uint64_t file_size_ = 0;
  uint64_t file_position_ = 0;  // what came so far, zeros of the open chunk included
  uint8_t chunk_bits_ = 0;
  bool find_holes_ = false;
  bool chunk_stored_ = false;  // the open chunk has a place; its zeros are written
  uint64_t start_block_ = 0;
  ChunkMap map_;
};

}  // namespace catamaran::erofs

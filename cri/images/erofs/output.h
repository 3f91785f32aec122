#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cri/images/erofs/format.h"
#include "sandbox/base/result.h"

namespace catamaran::erofs {

// CRC-32C as EROFS and iSCSI use it, without the final inversion; start with ~0u.
uint32_t Crc32c(uint32_t crc, const void* data, size_t size);

// Writes one image file front to back through a buffer, keeping the checksum of what went by.
// Block 0, where the superblock lives, is left for WriteFirstBlock at the end. The descriptor is
// the caller's, opened for writing, empty.
class Output {
 public:
  explicit Output(int fd);

  uint64_t position() const { return position_; }
  Status Append(const void* data, size_t size);
  Status Append(std::string_view data) { return Append(data.data(), data.size()); }
  Status AppendZeros(uint64_t size);
  Status AlignTo(uint64_t unit) { return AppendZeros(AlignUp(position_, unit) - position_); }
  // Writes what is buffered, extends the file to `size` bytes of zeros (a hole) and puts the
  // superblock's block in front.
  Status Finish(uint64_t size, std::string_view first_block);
  // Of everything behind block 0 followed by block 0; valid after Finish.
  uint32_t checksum() const { return checksum_; }

 private:
  Status Flush();

  int fd_;
  uint64_t position_ = kBlockSize;
  uint64_t written_ = kBlockSize;
  uint32_t checksum_ = ~0u;
  std::vector<char> buffer_;
};

// The checksum that Output::checksum gave, computed again from a finished file of `size` bytes.
Result<uint32_t> ChecksumOfFile(int fd, uint64_t size, const std::function<bool()>& stop = {});

// pread(2) of exactly `size` bytes; kDataLoss where the file ends before.
Status ReadExactly(int fd, void* data, size_t size, uint64_t offset);

}  // namespace catamaran::erofs

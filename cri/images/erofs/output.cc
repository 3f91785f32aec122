#include "cri/images/erofs/output.h"

#include <isa-l/crc.h>
#include <unistd.h>

#include <algorithm>

namespace catamaran::erofs {
namespace {
constexpr size_t kBufferSize = 1 << 20;
constexpr size_t kCrcPiece = 1 << 30;  // isa-l counts in int

Status WriteAt(int fd, const char* data, size_t size, uint64_t offset) {
  while (size > 0) {
    const ssize_t count = pwrite(fd, data, size, static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      return FailWithErrno("write image at {}", offset);
    }
    data += count;
    size -= static_cast<size_t>(count);
    offset += static_cast<uint64_t>(count);
  }
  return {};
}
}  // namespace

uint32_t Crc32c(uint32_t crc, const void* data, size_t size) {
  auto* at = static_cast<unsigned char*>(const_cast<void*>(data));  // isa-l does not write
  while (size > 0) {
    const size_t piece = std::min(size, kCrcPiece);
    crc = crc32_iscsi(at, static_cast<int>(piece), crc);
    at += piece;
    size -= piece;
  }
  return crc;
}

Output::Output(int fd) : fd_(fd) { buffer_.reserve(kBufferSize); }

Status Output::Append(const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  position_ += size;
  while (size > 0) {
    const size_t piece = std::min(size, kBufferSize - buffer_.size());
    buffer_.insert(buffer_.end(), at, at + piece);
    at += piece;
    size -= piece;
    if (buffer_.size() == kBufferSize) RETURN_IF_ERROR(Flush());
  }
  return {};
}

Status Output::AppendZeros(uint64_t size) {
  static const char kZeros[kBlockSize] = {};
  while (size > 0) {
    const size_t piece = std::min<uint64_t>(size, sizeof(kZeros));
    RETURN_IF_ERROR(Append(kZeros, piece));
    size -= piece;
  }
  return {};
}

Status Output::Flush() {
  RETURN_IF_ERROR(WriteAt(fd_, buffer_.data(), buffer_.size(), written_));
  checksum_ = Crc32c(checksum_, buffer_.data(), buffer_.size());
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

Status Output::Finish(uint64_t size, std::string_view first_block) {
  RETURN_IF_ERROR(Flush());
  if (ftruncate(fd_, static_cast<off_t>(size)) != 0) return FailWithErrno("extend image");
  const std::vector<char> zeros(kBufferSize);
  for (uint64_t at = written_; at < size;) {
    const size_t piece = std::min<uint64_t>(size - at, zeros.size());
    checksum_ = Crc32c(checksum_, zeros.data(), piece);
    at += piece;
  }
  checksum_ = Crc32c(checksum_, first_block.data(), first_block.size());
  return WriteAt(fd_, first_block.data(), first_block.size(), 0);
}

Result<uint32_t> ChecksumOfFile(int fd, uint64_t size, const std::function<bool()>& stop) {
  if (size < kBlockSize) return Fail(ErrorCode::kDataLoss, "the image has {} bytes", size);
  std::vector<char> buffer(kBufferSize);
  uint32_t checksum = ~0u;
  for (uint64_t at = kBlockSize; at < size;) {
    if (stop && stop()) return Fail(ErrorCode::kAborted, "reading it was stopped");
    const size_t piece = std::min<uint64_t>(size - at, buffer.size());
    RETURN_IF_ERROR(ReadExactly(fd, buffer.data(), piece, at));
    checksum = Crc32c(checksum, buffer.data(), piece);
    at += piece;
  }
  RETURN_IF_ERROR(ReadExactly(fd, buffer.data(), kBlockSize, 0));
  return Crc32c(checksum, buffer.data(), kBlockSize);
}

Status ReadExactly(int fd, void* data, size_t size, uint64_t offset) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t count = pread(fd, at, size, static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      return FailWithErrno("read image at {}", offset);
    }
    if (count == 0) return Fail(ErrorCode::kDataLoss, "the file ends at {}", offset);
    at += count;
    size -= static_cast<size_t>(count);
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

}  // namespace catamaran::erofs

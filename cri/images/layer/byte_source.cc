#include "cri/images/layer/byte_source.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

namespace catamaran {

Result<size_t> FilePartSource::Read(char* buffer, size_t size) {
  if (deadline_.expired() || (cancelled_ && cancelled_()))
    return Fail(ErrorCode::kDeadlineExceeded, "the time to read the image is over");
  size = std::min<uint64_t>(size, left_);
  if (size == 0) return size_t{0};
  ssize_t count = 0;
  do {
    count = pread(fd_, buffer, size, static_cast<off_t>(offset_));
  } while (count < 0 && errno == EINTR);
  if (count < 0) return FailWithErrno("read at {}", offset_);
  if (count == 0)
    return Fail(ErrorCode::kInvalidArgument, "the file is cut off: {} bytes are missing", left_);
  offset_ += static_cast<uint64_t>(count);
  left_ -= static_cast<uint64_t>(count);
  return static_cast<size_t>(count);
}

Result<size_t> HashingSource::Read(char* buffer, size_t size) {
  ASSIGN_OR_RETURN(const size_t count, from_.Read(buffer, size));
  hasher_.Update(buffer, count);
  bytes_ += count;
  return count;
}

Result<std::string> HashingSource::Drain() {
  std::vector<char> buffer(64 << 10);
  for (;;) {
    ASSIGN_OR_RETURN(const size_t count, Read(buffer.data(), buffer.size()));
    if (count == 0) return hasher_.Finish();
  }
}

}  // namespace catamaran

#include "vm-backend/volumes/fuse_request.h"

#include <cstring>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy of exactly this size, so that a read beyond the message is noticed.
  std::vector<std::byte> message(size);
  if (size > 0) memcpy(message.data(), data, size);
  [[maybe_unused]] const auto checked = catamaran::CheckFuseRequest(message);
  return 0;
}

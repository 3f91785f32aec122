// By itself: tests of a hostile peer are linked without it, to show what it is for.
#include "sandbox/protocol/frame.h"
#include "sandbox/protocol/little_endian.h"

namespace catamaran {

bool FrameHeaderIsSound(std::string_view header) {
  constexpr size_t kLength = 20, kChecksum = 28;
  return GetLittleEndian<uint32_t>(&header[kChecksum]) == Crc32c(header.substr(0, kChecksum)) &&
         GetLittleEndian<uint32_t>(&header[kLength]) <= kMaxFrameBody;
}

}  // namespace catamaran

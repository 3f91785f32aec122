// A plugin's bytes, as they arrive: cut into two pieces at the place that the first byte says.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "cri/nri/frames.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t cut = std::min<size_t>(data[0], bytes.size());
  catamaran::FrameReader pieces, whole;
  std::vector<catamaran::TtrpcMessage> from_pieces, from_whole;
  const bool good = pieces.Feed(bytes.substr(0, cut), &from_pieces).has_value() &&
                    pieces.Feed(bytes.substr(cut), &from_pieces).has_value();
  if (whole.Feed(bytes, &from_whole).has_value() != good) abort();
  // However the bytes are cut, the messages are the same, and each comes back as it was.
  if (good && from_pieces.size() != from_whole.size()) abort();
  for (const catamaran::TtrpcMessage& message : from_whole) {
    const auto encoded = catamaran::EncodeTtrpcMessage(message);
    catamaran::FrameReader again;
    std::vector<catamaran::TtrpcMessage> decoded;
    if (!encoded || !again.Feed(*encoded, &decoded) || decoded.size() != 1 ||
        decoded[0].payload != message.payload || decoded[0].stream != message.stream)
      abort();
  }
  return 0;
}

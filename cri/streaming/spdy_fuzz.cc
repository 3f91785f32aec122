// A client's bytes after its SPDY upgrade.
#include <cstddef>
#include <cstdint>

#include "cri/streaming/spdy_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  catamaran::SpdyDecoder decoder;
  size_t bytes = 0;
  (void)decoder.Decode({reinterpret_cast<const char*>(data), size},
                       [&](const catamaran::SpdyFrame& frame) {
                         bytes += frame.data.size();
                         for (const auto& [name, value] : frame.headers)
                           bytes += name.size() + value.size();
                       });
  return bytes == SIZE_MAX ? 1 : 0;
}

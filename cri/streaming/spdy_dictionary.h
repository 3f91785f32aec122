#pragma once

#include <string>
#include <string_view>

namespace catamaran {

// What both ends of a SPDY/3 connection preset zlib with for header blocks: SPDY Protocol, draft 3,
// section 2.6.10.1. 1423 bytes, Adler-32 0xe3c6a7c2.
const std::string& SpdyDictionary();

}  // namespace catamaran

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace catamaran {

// RFC 4648, section 4: padded.
std::string EncodeBase64(std::string_view bytes);
// With or without its padding; nullopt where other characters are in it.
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace catamaran

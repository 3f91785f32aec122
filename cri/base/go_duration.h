#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace catamaran {

// Go's time.ParseDuration for what is not negative: "2m0s", "1.5h", "500ms".
std::optional<std::chrono::milliseconds> ParseGoDuration(std::string_view text);

}  // namespace catamaran

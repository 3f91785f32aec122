#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace catamaran {

// The shape of every refusal: "mounts[2].container_path: 'data' is wrong: must be an absolute
// path". The value is shortened and made printable: it is a stranger's.
tl::unexpected<Error> WrongField(std::string_view field, std::string_view value,
                                 std::string_view what_would_be_right);
tl::unexpected<Error> WrongField(std::string_view field, int64_t value,
                                 std::string_view what_would_be_right);
// What this runtime does not offer: kUnimplemented.
tl::unexpected<Error> UnsupportedField(std::string_view field, std::string_view why);

std::string Printable(std::string_view text);

// An absolute path without "." and "..", at most PATH_MAX bytes, no NUL and no control characters.
// Returns it normalised: single slashes, none at the end.
Result<std::string> CheckAbsolutePath(std::string_view field, const std::string& path);
// The same for a relative path that must stay beneath what it is appended to.
Result<std::string> CheckRelativePath(std::string_view field, const std::string& path);
// 0 to 2^31-1, what the kernel and /etc/passwd agree on.
Result<uint32_t> CheckUserOrGroupId(std::string_view field, int64_t id);
bool IsIpAddress(const std::string& text);

}  // namespace catamaran

#include "cri/translate/fields.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "cri/base/text.h"

namespace catamaran {
namespace {

constexpr size_t kLongestShown = 200;

Result<std::string> CheckPath(std::string_view field, const std::string& path, bool absolute,
                              std::string_view right) {
  if (path.empty() || path.size() >= PATH_MAX || HasControlCharacters(path) ||
      (path.front() == '/') != absolute) {
    return WrongField(field, path, right);
  }
  std::string clean;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part == "." || part == "..") return WrongField(field, path, right);
    if (!part.empty()) {
      if (absolute || !clean.empty()) clean += '/';
      clean += part;
    }
    begin = end + 1;
  }
  return clean.empty() ? "/" : clean;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, kLongestShown)) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      shown += c;
    }
  }
  return text.size() > kLongestShown ? shown + "..." : shown;
}

tl::unexpected<Error> WrongField(std::string_view field, std::string_view value,
                                 std::string_view what_would_be_right) {
  return Fail(ErrorCode::kInvalidArgument, "{}: '{}' is wrong: must be {}", field, Printable(value),
              what_would_be_right);
}

tl::unexpected<Error> WrongField(std::string_view field, int64_t value,
                                 std::string_view what_would_be_right) {
  return Fail(ErrorCode::kInvalidArgument, "{}: {} is wrong: must be {}", field, value,
              what_would_be_right);
}

tl::unexpected<Error> UnsupportedField(std::string_view field, std::string_view why) {
  return Fail(ErrorCode::kUnimplemented, "{}: not supported by this runtime: {}", field, why);
}

Result<std::string> CheckAbsolutePath(std::string_view field, const std::string& path) {
  return CheckPath(field, path, true, "an absolute path without . and ..");
}

Result<std::string> CheckRelativePath(std::string_view field, const std::string& path) {
  return CheckPath(field, path, false, "a relative path without . and ..");
}

Result<uint32_t> CheckUserOrGroupId(std::string_view field, int64_t id) {
  if (id < 0 || id > INT32_MAX) return WrongField(field, id, "from 0 to 2147483647");
  return static_cast<uint32_t>(id);
}

bool IsIpAddress(const std::string& text) {
  unsigned char address[sizeof(in6_addr)];
  const std::string without_zone = text.substr(0, text.find('%'));
  return inet_pton(AF_INET, text.c_str(), address) == 1 ||
         inet_pton(AF_INET6, without_zone.c_str(), address) == 1;
}

}  // namespace catamaran

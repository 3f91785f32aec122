#include "cri/translate/fields.h"

#include <arpa/inet.h>
#include <fmt/format.h>

namespace catamaran {
namespace {

constexpr size_t kLongestShown = 200;

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

#include "cri/network/cni/cni_version.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace catamaran {
namespace {

constexpr CniVersion kSupported[] = {{0, 1, 0}, {0, 2, 0}, {0, 3, 0}, {0, 3, 1},
                                     {0, 4, 0}, {1, 0, 0}, {1, 1, 0}};

}  // namespace

std::string CniVersion::Text() const { return fmt::format("{}.{}.{}", major, minor, patch); }

bool CniVersion::supported() const {
  return std::find(std::begin(kSupported), std::end(kSupported), *this) != std::end(kSupported);
}

std::optional<CniVersion> ParseCniVersion(std::string_view text) {
  CniVersion version;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  int* const parts[] = {&version.major, &version.minor, &version.patch};
  for (int* part : parts) {
    if (part != parts[0] && (at == end || *at++ != '.')) return std::nullopt;
    if (at == end || *at < '0' || *at > '9') return std::nullopt;
    const auto [next, error] = std::from_chars(at, end, *part);
    if (error != std::errc()) return std::nullopt;
    at = next;
  }
  if (at != end) return std::nullopt;
  return version;
}

}  // namespace catamaran

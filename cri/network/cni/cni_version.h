#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace catamaran {

// A version of the CNI specification. Later ones than 1.1.0 are not known.
struct CniVersion {
  int major = 0, minor = 0, patch = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): of the zero in the generated comparison
  friend auto operator<=>(const CniVersion&, const CniVersion&) = default;

  std::string Text() const;
  // Whether this program speaks it.
  bool supported() const;
  // github.com/containernetworking/cni, SPEC.md of each version.
  bool has_chains() const { return *this >= CniVersion{0, 3, 0}; }
  bool has_check() const { return *this >= CniVersion{0, 4, 0}; }  // and prevResult for DEL
  bool has_address_version() const { return *this < CniVersion{1, 0, 0}; }
  bool has_gc_and_status() const { return *this >= CniVersion{1, 1, 0}; }
};

// "1.0.0"; nothing for other texts.
std::optional<CniVersion> ParseCniVersion(std::string_view text);

inline constexpr std::string_view kCniVersions =
    "0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0 or 1.1.0";

}  // namespace catamaran

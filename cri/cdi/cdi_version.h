#pragma once

#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace catamaran {

// A published version of the specification.
struct CdiVersion {
  int major = 0;
  int minor = 0;

  // kInvalidArgument for what was never published.
  static Result<CdiVersion> Parse(const std::string& text);
  friend auto operator<=>(const CdiVersion&, const CdiVersion&) = default;
};

// The version a file claims against the features it uses (SPEC.md, "Released versions").
class CdiFeatures {
 public:
  explicit CdiFeatures(CdiVersion claimed) : claimed_(claimed) {}
  // kInvalidArgument where `field` came only later.
  Status Use(CdiVersion since, std::string_view field) const;
  CdiVersion claimed() const { return claimed_; }

 private:
  CdiVersion claimed_;
};

inline constexpr CdiVersion kCdiMountTypes{0, 4};
inline constexpr CdiVersion kCdiHostPaths{0, 5};    // and device names that begin with a digit
inline constexpr CdiVersion kCdiAnnotations{0, 6};  // and dots in the class
inline constexpr CdiVersion kCdiGroups{0, 7};       // and Intel's RDT
inline constexpr CdiVersion kCdiNetDevices{1, 1};   // and RDT's schemata and monitoring

}  // namespace catamaran

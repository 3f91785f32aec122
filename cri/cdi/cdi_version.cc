#include "cri/cdi/cdi_version.h"

#include <algorithm>
#include <array>
#include <utility>

namespace catamaran {
namespace {

constexpr std::array<std::pair<std::string_view, CdiVersion>, 10> kPublished = {{
    {"0.1.0", {0, 1}},
    {"0.2.0", {0, 2}},
    {"0.3.0", {0, 3}},
    {"0.4.0", {0, 4}},
    {"0.5.0", {0, 5}},
    {"0.6.0", {0, 6}},
    {"0.7.0", {0, 7}},
    {"0.8.0", {0, 8}},
    {"1.0.0", {1, 0}},
    {"1.1.0", {1, 1}},
}};

}  // namespace

Result<CdiVersion> CdiVersion::Parse(const std::string& text) {
  const auto* found = std::find_if(kPublished.begin(), kPublished.end(),
                                   [&](const auto& entry) { return entry.first == text; });
  if (found == kPublished.end())
    return Fail(ErrorCode::kInvalidArgument, "cdiVersion \"{}\": must be one of 0.1.0 to {}",
                text.substr(0, 40), kPublished.back().first);
  return found->second;
}

Status CdiFeatures::Use(CdiVersion since, std::string_view field) const {
  if (claimed_ >= since) return {};
  return Fail(ErrorCode::kInvalidArgument, "{} needs cdiVersion {}.{}.0, the file says {}.{}.0",
              field, since.major, since.minor, claimed_.major, claimed_.minor);
}

}  // namespace catamaran

#include "cri/config/ulimits.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>

namespace catamaran {
namespace {

constexpr std::string_view kPrefix = "RLIMIT_";
constexpr std::array<std::string_view, 16> kNames = {
    "AS",   "CORE",   "CPU",   "DATA", "FSIZE",  "LOCKS",  "MEMLOCK",    "MSGQUEUE",
    "NICE", "NOFILE", "NPROC", "RSS",  "RTPRIO", "RTTIME", "SIGPENDING", "STACK"};

std::optional<uint64_t> Limit(std::string_view text) {
  if (text == "-1") return UINT64_MAX;  // RLIM_INFINITY
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

bool IsRlimitName(std::string_view name) {
  return name.starts_with(kPrefix) &&
         std::find(kNames.begin(), kNames.end(), name.substr(kPrefix.size())) != kNames.end();
}

Result<spec::Rlimit> ParseUlimit(const std::string& text) {
  const auto wrong = [] {
    return Fail(ErrorCode::kInvalidArgument, "NAME=SOFT[:HARD], as nofile=1024:2048 or core=-1");
  };
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return wrong();
  std::string name = text.substr(0, equals);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(toupper(c)); });
  if (!name.starts_with(kPrefix)) name.insert(0, kPrefix);
  const std::string_view limits = std::string_view(text).substr(equals + 1);
  const size_t colon = limits.find(':');
  const auto soft = Limit(limits.substr(0, colon));
  const auto hard = colon == std::string_view::npos ? soft : Limit(limits.substr(colon + 1));
  if (!IsRlimitName(name) || !soft || !hard || *soft > *hard) return wrong();
  spec::Rlimit limit;
  limit.set_name(name);
  limit.set_soft(*soft);
  limit.set_hard(*hard);
  return limit;
}

}  // namespace catamaran

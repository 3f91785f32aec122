#include "cri/network/pod_bandwidth.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace catamaran {
namespace {

constexpr uint64_t kLeastRate = 1000;
constexpr uint64_t kMostRate = 1'000'000'000'000'000;
// Kernels and plugins count it in 32 bits.
constexpr uint64_t kLeastBurst = 8 * (16 << 10), kMostBurst = UINT32_MAX;
constexpr uint64_t kBurstsASecond = 10;
constexpr size_t kLongestQuantity = 64;

struct Suffix {
  std::string_view text;
  double factor;
};
constexpr Suffix kSuffixes[] = {{"", 1},
                                {"n", 1e-9},
                                {"u", 1e-6},
                                {"m", 1e-3},
                                {"k", 1e3},
                                {"M", 1e6},
                                {"G", 1e9},
                                {"T", 1e12},
                                {"P", 1e15},
                                {"E", 1e18},
                                {"Ki", 1024},
                                {"Mi", 1 << 20},
                                {"Gi", 1 << 30},
                                {"Ti", 1099511627776.},
                                {"Pi", 1125899906842624.},
                                {"Ei", 1152921504606846976.}};

Result<uint64_t> ReadRate(const std::map<std::string, std::string>& annotations,
                          const char* annotation) {
  const auto found = annotations.find(annotation);
  if (found == annotations.end()) return 0;
  const auto rate = ParseQuantity(found->second);
  if (!rate || *rate < kLeastRate || *rate > kMostRate)
    return Fail(ErrorCode::kInvalidArgument,
                "config.annotations[\"{}\"]: \"{}\" is wrong: must be bits a second from 1k to 1P, "
                "like 10M",
                annotation, found->second.substr(0, kLongestQuantity));
  return *rate;
}

}  // namespace

Result<PodBandwidth> ReadBandwidth(const std::map<std::string, std::string>& annotations) {
  PodBandwidth limits;
  ASSIGN_OR_RETURN(limits.ingress, ReadRate(annotations, kIngressBandwidth));
  ASSIGN_OR_RETURN(limits.egress, ReadRate(annotations, kEgressBandwidth));
  return limits;
}

uint64_t BurstOf(uint64_t rate) {
  return std::clamp(rate / kBurstsASecond, kLeastBurst, kMostBurst);
}

Result<uint64_t> ParseQuantity(const std::string& text) {
  const auto wrong = [&] {
    return Fail(ErrorCode::kInvalidArgument, "\"{}\": must be a quantity like 10M or 1.5Gi",
                text.substr(0, kLongestQuantity));
  };
  if (text.empty() || text.size() > kLongestQuantity) return wrong();
  // from_chars takes "inf" and "nan" too.
  if (text[0] != '.' && (text[0] < '0' || text[0] > '9')) return wrong();
  double number = 0;
  // It takes an exponent where digits follow the "e", as quantities do.
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return wrong();
  const std::string_view suffix(end, text.data() + text.size() - end);
  for (const auto& known : kSuffixes) {
    if (known.text != suffix) continue;
    const double value = std::ceil(number * known.factor);
    if (value > 9e18) return wrong();
    return static_cast<uint64_t>(value);
  }
  return wrong();
}

}  // namespace catamaran

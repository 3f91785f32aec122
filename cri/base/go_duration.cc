#include "cri/base/go_duration.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>

namespace catamaran {

std::optional<std::chrono::milliseconds> ParseGoDuration(std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ns", 1e-6}, {"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}};
  if (text == "0") return std::chrono::milliseconds(0);
  if (text.empty() || text.size() > 64) return std::nullopt;
  double milliseconds = 0;
  while (!text.empty()) {
    const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string number(text.substr(0, digits));
    char* end = nullptr;
    const double value = strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0') return std::nullopt;
    text.remove_prefix(digits);
    const size_t letters = std::min(text.find_first_of("0123456789."), text.size());
    double factor = 0;
    for (const auto& [unit, size] : kUnits)
      if (text.substr(0, letters) == unit) factor = size;
    if (factor == 0) return std::nullopt;
    text.remove_prefix(letters);
    milliseconds += value * factor;
  }
  if (milliseconds > 1e15) return std::nullopt;
  return std::chrono::milliseconds(std::llround(milliseconds));
}

}  // namespace catamaran

#include "cri/base/text.h"

#include <algorithm>

namespace catamaran {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }

}  // namespace

std::string ToLower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

std::string_view Trim(std::string_view text, std::string_view characters) {
  const size_t begin = text.find_first_not_of(characters);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(characters) - begin + 1);
}

bool HasControlCharacters(std::string_view text) {
  return std::any_of(text.begin(), text.end(), IsControl);
}

std::string OneLine(std::string_view text, size_t limit) {
  std::string line;
  for (const char c : text.substr(0, limit)) {
    if (IsControl(c) && line.ends_with(' ')) continue;
    line += IsControl(c) ? ' ' : c;
  }
  while (line.ends_with(' ')) line.pop_back();
  if (text.size() > limit) line += "...";
  return line;
}

std::string HostAndPort(const std::string& address, uint16_t port) {
  const bool v6 = address.find(':') != std::string::npos;
  return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

}  // namespace catamaran

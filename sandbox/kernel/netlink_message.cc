#include "sandbox/kernel/netlink_message.h"

#include <arpa/inet.h>

#include <charconv>

namespace catamaran {

Result<NetworkPrefix> ParsePrefix(const std::string& text) {
  const auto slash = text.find('/');
  const std::string address = text.substr(0, slash);
  NetworkPrefix prefix;
  prefix.family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  unsigned char bytes[16];
  if (inet_pton(prefix.family, address.c_str(), bytes) != 1)
    return Fail(ErrorCode::kInvalidArgument, "\"{}\" is not an IP address", text);
  const unsigned most = prefix.family == AF_INET ? 32 : 128;
  prefix.bytes.assign(reinterpret_cast<char*>(bytes), most / 8);
  unsigned length = most;
  if (slash != std::string::npos) {
    const char* begin = text.data() + slash + 1;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(begin, end, length);
    if (parsed.ec != std::errc() || parsed.ptr != end || begin == end || length > most)
      return Fail(ErrorCode::kInvalidArgument, "\"{}\": the prefix length must be 0 to {}", text,
                  most);
  }
  prefix.length = static_cast<uint8_t>(length);
  return prefix;
}

std::string AddressText(int family, std::string_view bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  if (bytes.size() == (family == AF_INET ? 4u : 16u))
    inet_ntop(family, bytes.data(), text, sizeof text);
  return text;
}

std::string PrefixText(int family, std::string_view bytes, unsigned length) {
  return AddressText(family, bytes) + "/" + std::to_string(length);
}

Result<std::string> ParseMac(const std::string& text) {
  std::string bytes;
  for (size_t at = 0; at < text.size(); at += 3) {
    unsigned value = 0;
    const char* begin = text.data() + at;
    const char* end = text.data() + std::min(at + 2, text.size());
    const auto parsed = std::from_chars(begin, end, value, 16);
    const bool separated = at + 2 >= text.size() || text[at + 2] == ':';
    if (parsed.ec != std::errc() || parsed.ptr != begin + 2 || !separated) break;
    bytes.push_back(static_cast<char>(value));
  }
  if (bytes.size() != 6 || text.size() != 17)
    return Fail(ErrorCode::kInvalidArgument, "\"{}\" is not a MAC address", text);
  return bytes;
}

std::string MacText(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes)
    text += fmt::format("{}{:02x}", text.empty() ? "" : ":", static_cast<unsigned char>(byte));
  return text;
}

}  // namespace catamaran

#include "cri/config/ip_port.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace catamaran {

Status ReadIpPort(const YamlValue& value, std::string* out_address, uint16_t* port) {
  std::string text;
  RETURN_IF_ERROR(value.Read(&text));
  const auto wrong = [&] {
    return value.Wrong("IP:PORT, as 127.0.0.1:0 or [::1]:10010; port 0: the kernel chooses");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong();
  std::string address = text.substr(0, colon);
  const bool brackets = address.size() > 2 && address.front() == '[' && address.back() == ']';
  if (brackets) address = address.substr(1, address.size() - 2);
  unsigned char bytes[sizeof(in6_addr)];
  if (inet_pton(brackets ? AF_INET6 : AF_INET, address.c_str(), bytes) != 1) return wrong();
  const char* const end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data() + colon + 1, end, *port);
  if (error != std::errc() || parsed != end) return wrong();
  *out_address = address;
  return {};
}

bool IsLoopback(const std::string& address) {
  in_addr v4{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace catamaran

#include "cri/network/host_ports.h"

#include <sys/socket.h>

#include "sandbox/kernel/netlink_message.h"

namespace catamaran {
namespace {

constexpr char kEveryV4[] = "0.0.0.0", kEveryV6[] = "::";
// RFC 4291, 2.5.5.2.
constexpr std::string_view kMappedV4("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);

bool Covers(const std::string& a, const std::string& b) {
  const bool b_is_v6 = b.find(':') != std::string::npos;
  return a.empty() || a == b || (a == kEveryV4 && !b_is_v6) || (a == kEveryV6 && b_is_v6);
}

}  // namespace

bool Collide(const HostPort& a, const HostPort& b) {
  return a.protocol == b.protocol && a.port == b.port && (Covers(a.ip, b.ip) || Covers(b.ip, a.ip));
}

Result<std::string> HostIp(const std::string& text) {
  if (text.empty()) return text;
  const auto address = ParsePrefix(text);
  if (!address || text.find('/') != std::string::npos)
    return Fail(ErrorCode::kInvalidArgument, "port_mappings: host_ip \"{}\": must be an IP address",
                text);
  const std::string_view bytes = address->bytes;
  if (address->family == AF_INET6 && bytes.starts_with(kMappedV4))
    return AddressText(AF_INET, bytes.substr(kMappedV4.size()));
  return AddressText(address->family, bytes);
}

Result<std::vector<HostPort>> HostPortsOf(const std::vector<PortMapping>& mappings) {
  std::vector<HostPort> ports;
  for (const auto& mapping : mappings) {
    if (mapping.host_port == 0) continue;
    ASSIGN_OR_RETURN(std::string ip, HostIp(mapping.host_ip));
    ports.push_back({ProtocolName(mapping.protocol), mapping.host_port, std::move(ip)});
  }
  return ports;
}

Status HostPortTable::Claim(const PodId& pod, std::vector<HostPort> ports) {
  for (const auto& [other, taken] : ports_) {
    if (other == pod.value()) continue;
    for (const auto& has : taken)
      for (const auto& wanted : ports)
        if (Collide(has, wanted))
          return Fail(ErrorCode::kFailedPrecondition, "host port {}/{} is taken by pod {}",
                      wanted.port, wanted.protocol, other);
  }
  if (!ports.empty()) ports_[pod.value()] = std::move(ports);
  return {};
}

}  // namespace catamaran

#include "cri/network/pod_network.h"

#include <algorithm>

namespace catamaran {

const char* ProtocolName(PortMapping::Protocol protocol) {
  switch (protocol) {
    case PortMapping::Protocol::kTcp:
      return "tcp";
    case PortMapping::Protocol::kUdp:
      return "udp";
    case PortMapping::Protocol::kSctp:
      return "sctp";
  }
  return "tcp";
}

std::vector<std::string> PodNetworkResult::ips() const {
  std::vector<std::string> all;
  for (const auto& interface : interfaces)
    for (const auto& address : interface.addresses())
      all.push_back(address.substr(0, address.find('/')));
  std::stable_partition(all.begin(), all.end(), [](const std::string& address) {
    return address.find(':') == std::string::npos;
  });
  return all;
}

}  // namespace catamaran

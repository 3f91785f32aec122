#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cri/network/pod_network.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Which addresses of the machine a host port is of, as portmap decides it: "" is every one of both
// families, "0.0.0.0" every one of IPv4, "::" every one of IPv6, anything else itself.
struct HostPort {
  std::string protocol;  // ProtocolName
  uint32_t port = 0;
  std::string ip;
};
// Whether some address of the machine would lead both ways.
bool Collide(const HostPort& a, const HostPort& b);

// An address as everybody writes it: IPv4 within IPv6 as IPv4. "" stays. kInvalidArgument for what
// is none.
Result<std::string> HostIp(const std::string& text);

// Who has which ports of the machine. The caller locks.
class HostPortTable {
 public:
  // All or none; kFailedPrecondition names the port and the pod that has it. A pod asks once.
  Status Claim(const PodId& pod, std::vector<HostPort> ports);
  void Release(const PodId& pod) { ports_.erase(pod.value()); }

 private:
  std::map<std::string, std::vector<HostPort>> ports_;
};

// Those of a request: with a host port.
Result<std::vector<HostPort>> HostPortsOf(const std::vector<PortMapping>& mappings);

}  // namespace catamaran

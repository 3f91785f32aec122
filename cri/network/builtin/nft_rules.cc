#include "cri/network/builtin/nft_rules.h"

namespace catamaran {
namespace {

// `nft` has no "delete if it is there" before 1.0.8: adding first makes deleting safe.
std::string Reset(const std::string& table) {
  return fmt::format("table inet {0}\ndelete table inet {0}\n", table);
}

bool IsV6(const std::string& address) { return address.find(':') != std::string::npos; }

std::string WithoutLength(const std::string& address) {
  return address.substr(0, address.find('/'));
}

bool IsEveryAddress(const std::string& host_ip) { return host_ip == "0.0.0.0" || host_ip == "::"; }

// One rule for each family of the pod that the port's host address allows.
std::string HostPortRules(const network::HostPort& port, const spec::NetworkInterface& interface) {
  std::string rules;
  for (const auto& with_length : interface.addresses()) {
    const std::string address = WithoutLength(with_length);
    const bool v6 = IsV6(address);
    const std::string family = v6 ? "ip6" : "ip";
    std::string match;
    if (!port.host_ip().empty() && IsV6(port.host_ip()) != v6) continue;
    if (!port.host_ip().empty() && !IsEveryAddress(port.host_ip()))
      match = fmt::format("{} daddr {} ", family, port.host_ip());
    rules += fmt::format("    {}meta nfproto {} {} dport {} dnat {} to {}:{}\n", match,
                         v6 ? "ipv6" : "ipv4", port.protocol(), port.host_port(), family,
                         v6 ? "[" + address + "]" : address, port.container_port());
  }
  return rules;
}

}  // namespace

std::string NftTableName(const std::string& tag) { return "catamaran_" + tag; }

std::string NftRemoval(const std::string& tag) { return Reset(NftTableName(tag)); }

std::string NftRules(const std::string& tag, const std::vector<network::NetworkRecord>& records) {
  std::string ports;
  for (const auto& record : records)
    for (const auto& port : record.host_ports()) ports += HostPortRules(port, record.interface());
  const std::string pods = fmt::format("\"cat{}*\"", tag);
  // A client of "localhost" that tries ::1 first shall be refused there at once, not wait: a packet
  // to a pod cannot have that source, and the kernel has no route_localnet for IPv6.
  // Pods' interfaces route to loopback addresses where a host port needs it; a pod itself must not
  // reach them (CVE-2020-8558). Reverse path filtering of IPv4 is a sysctl of each interface.
  return Reset(NftTableName(tag)) + fmt::format(R"(table inet {0} {{
  chain raw {{
    type filter hook prerouting priority raw; policy accept;
    iifname {1} ip daddr 127.0.0.0/8 drop
    iifname {1} ip6 saddr != {{ fe80::/10, :: }} fib saddr . iif oif missing drop
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local jump hostports
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    ip6 daddr ::1 accept
    fib daddr type local jump hostports
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    iifname {1} oifname != {1} masquerade
    iifname {1} oifname {1} ct status dnat masquerade
    oifname {1} ip saddr 127.0.0.0/8 masquerade
  }}
  chain hostports {{
{2}  }}
}}
)",
                                                NftTableName(tag), pods, ports);
}

}  // namespace catamaran

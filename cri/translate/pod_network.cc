#include <set>

#include "cri/translate/fields.h"
#include "cri/translate/translate.h"

namespace catamaran {
namespace {

Result<PortMapping::Protocol> ToProtocol(const std::string& field, runtime::v1::Protocol protocol) {
  switch (protocol) {
    case runtime::v1::TCP:
      return PortMapping::Protocol::kTcp;
    case runtime::v1::UDP:
      return PortMapping::Protocol::kUdp;
    case runtime::v1::SCTP:
      return PortMapping::Protocol::kSctp;
    default:
      return WrongField(field, static_cast<int64_t>(protocol), "TCP, UDP or SCTP");
  }
}

}  // namespace

Result<PodNetworkRequest> TranslatePodNetwork(const runtime::v1::PodSandboxConfig& config,
                                              const PodId& id) {
  PodNetworkRequest request;
  request.pod = id;
  request.pod_name = config.metadata().name();
  request.pod_namespace = config.metadata().namespace_();
  request.pod_uid = config.metadata().uid();
  request.annotations = {config.annotations().begin(), config.annotations().end()};
  if (config.has_dns_config()) {
    const auto& dns = config.dns_config();
    request.dns = {{dns.servers().begin(), dns.servers().end()},
                   {dns.searches().begin(), dns.searches().end()},
                   {dns.options().begin(), dns.options().end()}};
  }
  request.cgroup_parent = config.linux().cgroup_parent();
  std::set<std::tuple<PortMapping::Protocol, uint16_t, std::string>> taken;
  for (int i = 0; i < config.port_mappings_size(); ++i) {
    const auto& mapping = config.port_mappings(i);
    const std::string field = fmt::format("config.port_mappings[{}]", i);
    ASSIGN_OR_RETURN(const auto protocol, ToProtocol(field + ".protocol", mapping.protocol()));
    if (mapping.container_port() < 1 || mapping.container_port() > UINT16_MAX) {
      return WrongField(field + ".container_port", mapping.container_port(), "from 1 to 65535");
    }
    if (mapping.host_port() < 0 || mapping.host_port() > UINT16_MAX) {
      return WrongField(field + ".host_port", mapping.host_port(), "from 0 to 65535");
    }
    if (!mapping.host_ip().empty() && !IsIpAddress(mapping.host_ip())) {
      return WrongField(field + ".host_ip", mapping.host_ip(), "an IP address or empty");
    }
    if (mapping.host_port() == 0) continue;
    const auto host_port = static_cast<uint16_t>(mapping.host_port());
    if (!taken.emplace(protocol, host_port, mapping.host_ip()).second) {
      return WrongField(field + ".host_port", mapping.host_port(), "mapped once");
    }
    request.ports.push_back(
        {protocol, static_cast<uint16_t>(mapping.container_port()), host_port, mapping.host_ip()});
  }
  return request;
}

}  // namespace catamaran

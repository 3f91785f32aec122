#include "cri/network/cni/runtime_config.h"

#include <algorithm>

#include "cri/network/pod_bandwidth.h"

namespace catamaran {
namespace {

using nlohmann::json;

json PortMappings(const PodNetworkRequest& request) {
  json mappings = json::array();
  for (const auto& port : request.ports) {
    if (port.host_port == 0) continue;
    json mapping = {{"hostPort", port.host_port},
                    {"containerPort", port.container_port},
                    {"protocol", ProtocolName(port.protocol)}};
    if (!port.host_ip.empty()) mapping["hostIP"] = port.host_ip;
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

json Bandwidth(const PodBandwidth& limits) {
  json bandwidth = json::object();
  const auto add = [&](const std::string& direction, uint64_t rate) {
    if (rate == 0) return;
    bandwidth[direction + "Rate"] = rate;
    bandwidth[direction + "Burst"] = BurstOf(rate);
  };
  add("ingress", limits.ingress);
  add("egress", limits.egress);
  return bandwidth;
}

// One set of ranges for each family (CONVENTIONS.md, ipRanges).
json IpRanges(const std::string& pod_cidr) {
  json sets = json::array();
  for (size_t begin = 0; begin < pod_cidr.size();) {
    const size_t end = std::min(pod_cidr.find(',', begin), pod_cidr.size());
    if (end > begin)
      sets.push_back(json::array({{{"subnet", pod_cidr.substr(begin, end - begin)}}}));
    begin = end + 1;
  }
  return sets;
}

}  // namespace

Result<json> CapabilityArguments(const PodNetworkRequest& request, const std::string& pod_cidr) {
  json arguments = json::object();
  if (json mappings = PortMappings(request); !mappings.empty())
    arguments["portMappings"] = std::move(mappings);
  ASSIGN_OR_RETURN(const PodBandwidth limits, ReadBandwidth(request.annotations));
  if (limits.limited()) arguments["bandwidth"] = Bandwidth(limits);
  if (request.dns)
    arguments["dns"] = {{"servers", request.dns->servers},
                        {"searches", request.dns->searches},
                        {"options", request.dns->options}};
  if (json ranges = IpRanges(pod_cidr); !ranges.empty()) arguments["ipRanges"] = std::move(ranges);
  if (!request.cgroup_parent.empty()) arguments["cgroupPath"] = request.cgroup_parent;
  if (!request.annotations.empty())
    arguments["io.kubernetes.cri.pod-annotations"] = request.annotations;
  return arguments;
}

std::vector<HostPort> HostPortsIn(const std::string& arguments) {
  std::vector<HostPort> ports;
  const json parsed = json::parse(arguments, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("portMappings")) return ports;
  for (const json& mapping : parsed["portMappings"]) {
    const auto port = mapping.is_object() ? mapping.find("hostPort") : mapping.end();
    if (port == mapping.end() || !port->is_number_unsigned()) continue;
    const auto text = [&](const char* key) {
      const auto found = mapping.find(key);
      return found != mapping.end() && found->is_string() ? found->get<std::string>() : "";
    };
    ports.push_back({text("protocol"), port->get<uint32_t>(), text("hostIP")});
  }
  return ports;
}

json RuntimeConfigFor(const CniPlugin& plugin, const json& arguments) {
  json config = json::object();
  for (const auto& [name, value] : arguments.items())
    if (plugin.capabilities.contains(name)) config[name] = value;
  return config;
}

}  // namespace catamaran

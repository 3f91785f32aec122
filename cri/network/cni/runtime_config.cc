#include "cri/network/cni/runtime_config.h"

#include <charconv>
#include <cmath>

namespace catamaran {
namespace {

using nlohmann::json;

constexpr char kIngress[] = "kubernetes.io/ingress-bandwidth";
constexpr char kEgress[] = "kubernetes.io/egress-bandwidth";
// The kubelet's own limits (k8s.io/kubernetes/pkg/util/bandwidth): 1k to 1P bits a second.
constexpr uint64_t kLeastRate = 1000;
constexpr uint64_t kMostRate = 1'000'000'000'000'000;
// In bits; what plugins accept as "no limit of its own".
constexpr uint64_t kBurst = UINT32_MAX;
constexpr size_t kLongestQuantity = 64;

struct Suffix {
  std::string_view text;
  double factor;
};
constexpr Suffix kSuffixes[] = {{"", 1},
                                {"n", 1e-9},
                                {"u", 1e-6},
                                {"m", 1e-3},
                                {"k", 1e3},
                                {"M", 1e6},
                                {"G", 1e9},
                                {"T", 1e12},
                                {"P", 1e15},
                                {"E", 1e18},
                                {"Ki", 1024},
                                {"Mi", 1 << 20},
                                {"Gi", 1 << 30},
                                {"Ti", 1099511627776.},
                                {"Pi", 1125899906842624.},
                                {"Ei", 1152921504606846976.}};

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

Status AddRate(const PodNetworkRequest& request, const char* annotation, const char* direction,
               json* out) {
  const auto found = request.annotations.find(annotation);
  if (found == request.annotations.end()) return {};
  const auto rate = ParseQuantity(found->second);
  if (!rate || *rate < kLeastRate || *rate > kMostRate)
    return Fail(ErrorCode::kInvalidArgument,
                "config.annotations[\"{}\"]: \"{}\" is wrong: must be bits a second from 1k to 1P, "
                "like 10M",
                annotation, found->second.substr(0, kLongestQuantity));
  (*out)[std::string(direction) + "Rate"] = *rate;
  (*out)[std::string(direction) + "Burst"] = kBurst;
  return {};
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

Result<uint64_t> ParseQuantity(const std::string& text) {
  const auto wrong = [&] {
    return Fail(ErrorCode::kInvalidArgument, "\"{}\": must be a quantity like 10M or 1.5Gi",
                text.substr(0, kLongestQuantity));
  };
  if (text.empty() || text.size() > kLongestQuantity) return wrong();
  // from_chars takes "inf" and "nan" too.
  if (text[0] != '.' && (text[0] < '0' || text[0] > '9')) return wrong();
  double number = 0;
  // It takes an exponent where digits follow the "e", as quantities do.
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return wrong();
  const std::string_view suffix(end, text.data() + text.size() - end);
  for (const auto& known : kSuffixes) {
    if (known.text != suffix) continue;
    const double value = std::ceil(number * known.factor);
    if (value > 9e18) return wrong();
    return static_cast<uint64_t>(value);
  }
  return wrong();
}

Result<json> CapabilityArguments(const PodNetworkRequest& request, const std::string& pod_cidr) {
  json arguments = json::object();
  if (json mappings = PortMappings(request); !mappings.empty())
    arguments["portMappings"] = std::move(mappings);
  json bandwidth = json::object();
  RETURN_IF_ERROR(AddRate(request, kIngress, "ingress", &bandwidth));
  RETURN_IF_ERROR(AddRate(request, kEgress, "egress", &bandwidth));
  if (!bandwidth.empty()) arguments["bandwidth"] = std::move(bandwidth);
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

json RuntimeConfigFor(const CniPlugin& plugin, const json& arguments) {
  json config = json::object();
  for (const auto& [name, value] : arguments.items())
    if (plugin.capabilities.contains(name)) config[name] = value;
  return config;
}

}  // namespace catamaran

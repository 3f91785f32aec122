#include "cri/network/cni/cni_result.h"

#include "cri/network/cni/json_text.h"
#include "sandbox/kernel/netlink_message.h"

namespace catamaran {
namespace {

using nlohmann::json;

constexpr size_t kMostEntries = 1024;

Status CheckCidr(const std::string& source, const std::string& key, const std::string& text) {
  if (text.find('/') == std::string::npos || !ParsePrefix(text))
    return WrongJson(source, key, text, "an address with its prefix length, like 10.22.0.5/16");
  return {};
}

Status CheckGateway(const std::string& source, const std::string& key, const std::string& text) {
  if (!text.empty() && (text.find('/') != std::string::npos || !ParsePrefix(text)))
    return WrongJson(source, key, text, "an IP address");
  return {};
}

// The list at `key`; absent and null are empty.
Result<const json*> ListAt(const std::string& source, const json& object, const char* key) {
  static const json kNone = json::array();
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return &kNone;
  if (!found->is_array() || found->size() > kMostEntries)
    return WrongJson(source, key, *found, fmt::format("a list of at most {}", kMostEntries));
  for (size_t i = 0; i < found->size(); ++i)
    if (!(*found)[i].is_object())
      return WrongJson(source, fmt::format("{}[{}]", key, i), (*found)[i], "an object");
  return &*found;
}

Status ReadInterfaces(const std::string& source, const json& object, CniResult* out) {
  ASSIGN_OR_RETURN(const json* found, ListAt(source, object, "interfaces"));
  const json& list = *found;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string path = fmt::format("interfaces[{}]", i);
    auto& interface = out->interfaces.emplace_back();
    RETURN_IF_ERROR(ReadJsonKey(source, path, list[i], "name", &interface.name));
    RETURN_IF_ERROR(ReadJsonKey(source, path, list[i], "mac", &interface.mac));
    RETURN_IF_ERROR(ReadJsonKey(source, path, list[i], "sandbox", &interface.sandbox));
  }
  return {};
}

Status ReadAddresses(const std::string& source, const json& object, CniResult* out) {
  ASSIGN_OR_RETURN(const json* found, ListAt(source, object, "ips"));
  const json& list = *found;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string path = fmt::format("ips[{}]", i);
    auto& address = out->addresses.emplace_back();
    RETURN_IF_ERROR(ReadJsonKey(source, path, list[i], "address", &address.cidr));
    RETURN_IF_ERROR(CheckCidr(source, path + ".address", address.cidr));
    RETURN_IF_ERROR(ReadJsonKey(source, path, list[i], "gateway", &address.gateway));
    RETURN_IF_ERROR(CheckGateway(source, path + ".gateway", address.gateway));
    const auto index = list[i].find("interface");
    // libcni wrote -1 for "none" in 0.3.0.
    if (index == list[i].end() || index->is_null() || *index == -1) continue;
    if (!index->is_number_unsigned() || index->get<uint64_t>() >= out->interfaces.size())
      return WrongJson(source, path + ".interface", *index, "the index of one of `interfaces`");
    address.interface = index->get<size_t>();
  }
  return {};
}

// 0.1.0 and 0.2.0.
Status ReadOldAddresses(const std::string& source, const json& object, CniResult* out) {
  for (const std::string key : {"ip4", "ip6"}) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) continue;
    if (!found->is_object()) return WrongJson(source, key, *found, "an object");
    auto& address = out->addresses.emplace_back();
    RETURN_IF_ERROR(ReadJsonKey(source, key, *found, "ip", &address.cidr));
    RETURN_IF_ERROR(CheckCidr(source, key + ".ip", address.cidr));
    RETURN_IF_ERROR(ReadJsonKey(source, key, *found, "gateway", &address.gateway));
    RETURN_IF_ERROR(CheckGateway(source, key + ".gateway", address.gateway));
  }
  return {};
}

}  // namespace

std::vector<std::string> CniResult::PodAddresses(const std::string& interface) const {
  std::vector<std::string> found;
  for (const auto& address : addresses) {
    const bool its_own =
        !address.interface.has_value() || (interfaces[*address.interface].name == interface &&
                                           !interfaces[*address.interface].sandbox.empty());
    if (its_own) found.push_back(address.cidr);
  }
  return found;
}

Result<CniResult> ParseCniResult(const json& result, const std::string& source) {
  CniResult parsed;
  RETURN_IF_ERROR(ReadInterfaces(source, result, &parsed));
  RETURN_IF_ERROR(ReadAddresses(source, result, &parsed));
  RETURN_IF_ERROR(ReadOldAddresses(source, result, &parsed));
  return parsed;
}

json ResultForVersion(json result, const CniVersion& version) {
  result["cniVersion"] = version.Text();
  const auto ips = result.find("ips");
  if (ips == result.end() || !ips->is_array()) return result;
  for (json& ip : *ips) {
    if (!ip.is_object()) continue;
    if (!version.has_address_version()) {
      ip.erase("version");
      continue;
    }
    const auto address = ip.find("address");
    const bool v6 = address != ip.end() && address->is_string() &&
                    address->get_ref<const std::string&>().find(':') != std::string::npos;
    ip["version"] = v6 ? "6" : "4";
  }
  return result;
}

}  // namespace catamaran

#include "cri/network/cni/pod_interface.h"

#include <algorithm>

#include "sandbox/kernel/netlink.h"

namespace catamaran {
namespace {

// Every IPv6 interface makes these itself.
bool IsLinkLocal(const std::string& destination) { return destination.starts_with("fe80:"); }

}  // namespace

Result<spec::NetworkInterface> DescribePodInterface(int namespace_fd, const std::string& name,
                                                    const std::vector<std::string>& addresses,
                                                    const std::string& source) {
  if (addresses.empty())
    return Fail(ErrorCode::kInternal, "{}: no address on the pod's {}", source, name);
  ASSIGN_OR_RETURN(auto netlink, Netlink::OpenIn(namespace_fd));
  ASSIGN_OR_RETURN(const auto links, netlink.ListLinks());
  const auto link =
      std::find_if(links.begin(), links.end(), [&](const Link& one) { return one.name == name; });
  if (link == links.end())
    return Fail(ErrorCode::kInternal, "{}: the plugins made no {} in the pod's namespace", source,
                name);
  spec::NetworkInterface interface;
  interface.set_name(name);
  interface.set_mac(link->mac);
  interface.set_mtu(link->mtu);
  interface.mutable_addresses()->Assign(addresses.begin(), addresses.end());
  ASSIGN_OR_RETURN(auto routes, netlink.ListRoutes());
  // A gateway's own route comes before those that lead by it.
  std::stable_partition(routes.begin(), routes.end(),
                        [](const Route& route) { return route.gateway.empty(); });
  for (const auto& route : routes) {
    if (route.link != name || (route.gateway.empty() && IsLinkLocal(route.destination))) continue;
    auto* out = interface.add_routes();
    out->set_destination(route.destination);
    out->set_gateway(route.gateway);
  }
  return interface;
}

}  // namespace catamaran

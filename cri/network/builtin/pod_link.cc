#include "cri/network/builtin/pod_link.h"

#include <sys/socket.h>

#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"
#include "sandbox/kernel/netlink_message.h"

namespace catamaran {
namespace {

// The machine's end of every pair; locally administered.
constexpr char kHostMac[] = "ee:ee:ee:ee:ee:ee";
constexpr char kCardName[] = "eth0";
constexpr char kGatewayV6[] = "fe80::1";
constexpr uint32_t kUsualMtu = 1500;
// No machine has it (RFC 5737, TEST-NET-3), so only a default route leads there.
constexpr char kTheWorld[] = "203.0.113.1";

bool IsV6(const std::string& text) { return text.find(':') != std::string::npos; }

std::string WithoutLength(const std::string& address) {
  return address.substr(0, address.find('/'));
}

std::string GatewayOf(const spec::NetworkInterface& interface, bool v6) {
  for (const auto& route : interface.routes())
    if (!route.gateway().empty() && IsV6(route.gateway()) == v6) return route.gateway();
  return "";
}

std::string Trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// A setting that this kernel may lack (IPv6 switched off) is left alone.
Status SetLinkSysctl(const std::string& family, const std::string& link, const std::string& key,
                     const std::string& value) {
  const std::string path = fmt::format("/proc/sys/net/{}/conf/{}/{}", family, link, key);
  if (!Exists(path)) return {};
  return WriteExisting(path, value);
}

// A pod speaks IPv6 with the machine only where the network has it, and only with the gateway: an
// address that the kernel makes for itself would be a way to whatever listens on [::], and appears
// a second later, after its duplicate address detection.
Status SetHostSysctlsV6(const std::string& link, bool has_gateway) {
  if (!has_gateway) return SetLinkSysctl("ipv6", link, "disable_ipv6", "1");
  RETURN_IF_ERROR(SetLinkSysctl("ipv6", link, "addr_gen_mode", "1"));  // none (ip-link(8))
  return SetLinkSysctl("ipv6", link, "accept_ra", "0");
}

Status SetHostSysctlsV4(const std::string& link, LoopbackRouting loopback_routing) {
  // What comes from a pod must have the pod's address.
  RETURN_IF_ERROR(SetLinkSysctl("ipv4", link, "rp_filter", "1"));
  // A host port is reached at 127.0.0.1 too: those packets then come and go by this link.
  if (loopback_routing == LoopbackRouting::kOn)
    RETURN_IF_ERROR(SetLinkSysctl("ipv4", link, "route_localnet", "1"));
  return {};
}

Status SetUpHostEnd(Netlink& netlink, const std::string& link,
                    const spec::NetworkInterface& interface) {
  for (const bool v6 : {false, true}) {
    const std::string gateway = GatewayOf(interface, v6);
    if (gateway.empty()) continue;
    RETURN_IF_ERROR(netlink.AddAddress(link, gateway + (v6 ? "/64" : "/32")));
  }
  RETURN_IF_ERROR(netlink.SetLinkUp(link));
  for (const auto& address : interface.addresses()) {
    RETURN_IF_ERROR(netlink.AddNeighbour(link, WithoutLength(address), interface.mac()));
    RETURN_IF_ERROR(netlink.AddRoute({.destination = address, .link = link}));
  }
  return {};
}

Status SetUpPodEnd(Netlink& netlink, const spec::NetworkInterface& interface) {
  RETURN_IF_ERROR(ConfigureInterface(netlink, interface));
  for (const bool v6 : {false, true})
    if (const auto gateway = GatewayOf(interface, v6); !gateway.empty())
      RETURN_IF_ERROR(netlink.AddNeighbour(interface.name(), gateway, kHostMac));
  return {};
}

void AddPodRoute(spec::NetworkInterface& interface, const std::string& destination,
                 const std::string& gateway) {
  auto* route = interface.add_routes();
  route->set_destination(destination);
  route->set_gateway(gateway);
}

}  // namespace

spec::NetworkInterface PlanPodInterface(const std::vector<AddressRange>& ranges, uint32_t slot,
                                        uint32_t mtu) {
  spec::NetworkInterface interface;
  interface.set_name(kCardName);
  interface.set_mtu(mtu);
  // The slot makes it unique on this machine, where alone it is seen.
  interface.set_mac(fmt::format("0a:58:{:02x}:{:02x}:{:02x}:{:02x}", slot >> 24 & 0xff,
                                slot >> 16 & 0xff, slot >> 8 & 0xff, slot & 0xff));
  for (const auto& range : ranges) {
    interface.add_addresses(range.SingleRoute(slot));
    if (range.is_v4()) {
      AddPodRoute(interface, range.gateway() + "/32", "");
      AddPodRoute(interface, "0.0.0.0/0", range.gateway());
    } else {
      AddPodRoute(interface, "::/0", kGatewayV6);
    }
  }
  return interface;
}

Status ConnectPod(const std::string& host_link, const spec::NetworkInterface& interface,
                  int pod_namespace_fd, LoopbackRouting loopback_routing) {
  ASSIGN_OR_RETURN(auto outside, Netlink::Open());
  ASSIGN_OR_RETURN(auto inside, Netlink::OpenIn(pod_namespace_fd));
  RETURN_IF_ERROR(outside.AddVethPair({.name = host_link,
                                       .mac = kHostMac,
                                       .peer_name = interface.name(),
                                       .peer_mac = interface.mac(),
                                       .peer_namespace_fd = pod_namespace_fd,
                                       .mtu = interface.mtu()}));
  Cleanup cleanup([&] { (void)outside.DeleteLink(host_link); });
  RETURN_IF_ERROR(SetHostSysctlsV4(host_link, loopback_routing));
  RETURN_IF_ERROR(SetHostSysctlsV6(host_link, !GatewayOf(interface, true).empty()));
  RETURN_IF_ERROR(SetUpPodEnd(inside, interface));
  RETURN_IF_ERROR(SetUpHostEnd(outside, host_link, interface));
  cleanup.Dismiss();
  return {};
}

uint32_t MachineMtu(Netlink& netlink) {
  const auto route = netlink.FindRoute(kTheWorld);
  if (!route || route->link.empty()) return kUsualMtu;
  const auto link = netlink.FindLink(route->link);
  return link && link->mtu != 0 && link->name != "lo" ? link->mtu : kUsualMtu;
}

Status EnableForwarding(bool v6) {
  std::vector<std::string> paths = {"/proc/sys/net/ipv4/ip_forward"};
  if (v6) paths.push_back("/proc/sys/net/ipv6/conf/all/forwarding");
  for (const auto& path : paths) {
    ASSIGN_OR_RETURN(const auto now, ReadFile(path, 16));
    // Writing resets other settings of every interface (ip-sysctl.rst), so not without need.
    if (Trimmed(now) == "0") RETURN_IF_ERROR(WriteExisting(path, "1"));
  }
  return {};
}

}  // namespace catamaran

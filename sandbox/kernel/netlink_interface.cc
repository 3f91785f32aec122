#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"

// What is made of the requests: whole interfaces, taps, and working in another namespace.
namespace catamaran {
namespace {

// A container that may administer its network can make any number of interfaces, and name them by
// any bytes.
constexpr size_t kMostInterfaces = 64;
bool IsPlainName(const std::string& name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

Status RunInNetworkNamespace(int namespace_fd, UniqueFunction<Status()> work) {
  Status status;
  // setns changes one thread: this one ends instead of finding its way back.
  std::thread([&] {
    status = setns(namespace_fd, CLONE_NEWNET) == 0
                 ? work()
                 : Status(FailWithErrno("enter the network namespace"));
  }).join();
  return status;
}

Result<Netlink> Netlink::OpenIn(int namespace_fd) {
  Result<Netlink> opened = Fail(ErrorCode::kInternal, "not opened");
  RETURN_IF_ERROR(RunInNetworkNamespace(namespace_fd, [&]() -> Status {
    opened = Open();
    return {};
  }));
  return opened;
}

Result<UniqueFd> CreateTap(const TapOptions& options) {
  ifreq request{};
  if (options.name.empty() || options.name.size() >= sizeof request.ifr_name)
    return Fail(ErrorCode::kInvalidArgument, "tap name \"{}\": must have 1 to 15 bytes",
                options.name);
  memcpy(request.ifr_name, options.name.data(), options.name.size());
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL |
                                         (options.virtio_header ? IFF_VNET_HDR : 0) |
                                         (options.multi_queue ? IFF_MULTI_QUEUE : 0));
  ASSIGN_OR_RETURN(auto tap, OpenFile("/dev/net/tun", O_RDWR | O_NONBLOCK));
  if (ioctl(tap.get(), TUNSETIFF, &request) != 0) {
    if (errno == EBUSY)
      return Fail(ErrorCode::kAlreadyExists, "interface {} exists already", options.name);
    return FailWithErrno("make tap {}", options.name);
  }
  AbortStep();
  return tap;
}

Status BringUpLoopback(Netlink& netlink) { return netlink.SetLinkUp("lo"); }

Status ConfigureInterface(Netlink& netlink, const spec::NetworkInterface& interface,
                          const std::string& current_name) {
  const std::string& name = interface.name();
  const auto current = netlink.FindLink(current_name.empty() ? name : current_name);
  // A repeated call finds the card renamed already.
  const auto link = current || current_name.empty() ? current : netlink.FindLink(name);
  if (!link) return tl::unexpected(link.error());
  const bool rename = link->name != name;
  const bool new_mac = !interface.mac().empty() && link->mac != interface.mac();
  if (link->up && (rename || new_mac)) RETURN_IF_ERROR(netlink.SetLinkDown(link->name));
  if (new_mac) RETURN_IF_ERROR(netlink.SetMac(link->name, interface.mac()));
  if (rename) RETURN_IF_ERROR(netlink.RenameLink(link->name, name));
  if (interface.mtu() != 0 && link->mtu != interface.mtu())
    RETURN_IF_ERROR(netlink.SetMtu(name, interface.mtu()));
  for (const auto& address : interface.addresses())
    RETURN_IF_ERROR(netlink.AddAddress(name, address));
  RETURN_IF_ERROR(netlink.SetLinkUp(name));
  for (const auto& route : interface.routes())
    RETURN_IF_ERROR(netlink.ReplaceRoute({.destination = route.destination(),
                                          .gateway = route.gateway(),
                                          .link = name,
                                          .gateway_on_link = !route.gateway().empty()}));
  return {};
}

Result<std::vector<spec::InterfaceStats>> ReadInterfaceStats(Netlink& netlink) {
  ASSIGN_OR_RETURN(const auto links, netlink.ListLinks());
  std::vector<spec::InterfaceStats> all;
  for (const auto& link : links) {
    if (link.name == "lo" || !IsPlainName(link.name) || all.size() == kMostInterfaces) continue;
    auto& stats = all.emplace_back();
    stats.set_name(link.name);
    stats.set_rx_bytes(link.rx_bytes);
    stats.set_rx_errors(link.rx_errors);
    stats.set_rx_packets(link.rx_packets);
    stats.set_rx_dropped(link.rx_dropped);
    stats.set_tx_bytes(link.tx_bytes);
    stats.set_tx_errors(link.tx_errors);
    stats.set_tx_packets(link.tx_packets);
    stats.set_tx_dropped(link.tx_dropped);
  }
  return all;
}

}  // namespace catamaran

// Addresses, routes and neighbours.
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>

#include "sandbox/base/abort_step.h"
#include "sandbox/kernel/netlink.h"
#include "sandbox/kernel/netlink_message.h"

namespace catamaran {
namespace {

Status Ignore(Status status, int error_number) {
  if (!status && status.error().system_errno == error_number) return {};
  return status;
}

Status While(Status status, const std::string& doing) {
  if (status) return status;
  return tl::unexpected(std::move(status).error().While(doing));
}

}  // namespace

Status Netlink::ChangeAddress(uint16_t type, uint16_t flags, const std::string& link,
                              const std::string& address) {
  ASSIGN_OR_RETURN(const auto prefix, ParsePrefix(address));
  ASSIGN_OR_RETURN(const int index, IndexOf(link));
  ifaddrmsg body{};
  body.ifa_family = static_cast<uint8_t>(prefix.family);
  body.ifa_prefixlen = prefix.length;
  body.ifa_index = static_cast<uint32_t>(index);
  body.ifa_flags = prefix.family == AF_INET6 ? IFA_F_NODAD : 0;
  NetlinkMessage request(type, flags, body);
  request.Add(IFA_LOCAL, prefix.bytes);
  request.Add(IFA_ADDRESS, prefix.bytes);
  RETURN_IF_ERROR(Transact(std::move(request).Finish(++sequence_, NLM_F_ACK)));
  AbortStep();
  return {};
}

Status Netlink::AddAddress(const std::string& link, const std::string& address) {
  return While(Ignore(ChangeAddress(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, link, address), EEXIST),
               fmt::format("add address {} to {}", address, link));
}

Status Netlink::RemoveAddress(const std::string& link, const std::string& address) {
  return While(Ignore(ChangeAddress(RTM_DELADDR, 0, link, address), EADDRNOTAVAIL),
               fmt::format("remove address {} from {}", address, link));
}

Result<std::vector<std::string>> Netlink::ListAddresses(const std::string& link) {
  ASSIGN_OR_RETURN(const int index, IndexOf(link));
  ifaddrmsg body{};
  body.ifa_index = static_cast<uint32_t>(index);
  NetlinkMessage request(RTM_GETADDR, NLM_F_DUMP, body);
  ASSIGN_OR_RETURN(const auto answers, Transact(std::move(request).Finish(++sequence_, 0)));
  std::vector<std::string> addresses;
  for (const auto& answer : answers) {
    NetlinkReader reader(answer);
    const auto found = reader.ReadBody<ifaddrmsg>();
    if (!found || found->ifa_index != static_cast<uint32_t>(index)) continue;
    reader.ForEachAttribute([&](uint16_t type, std::string_view value) {
      if (type == (found->ifa_family == AF_INET ? IFA_LOCAL : IFA_ADDRESS))
        addresses.push_back(PrefixText(found->ifa_family, value, found->ifa_prefixlen));
    });
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

Status Netlink::ChangeRoute(uint16_t type, uint16_t flags, const Route& route) {
  ASSIGN_OR_RETURN(const auto destination, ParsePrefix(route.destination));
  ASSIGN_OR_RETURN(const int index, IndexOf(route.link));
  rtmsg body{};
  body.rtm_family = static_cast<uint8_t>(destination.family);
  body.rtm_dst_len = destination.length;
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = type == RTM_DELROUTE ? RTPROT_UNSPEC : RTPROT_STATIC;
  body.rtm_scope = type == RTM_DELROUTE    ? RT_SCOPE_NOWHERE
                   : route.gateway.empty() ? RT_SCOPE_LINK
                                           : RT_SCOPE_UNIVERSE;
  body.rtm_type = RTN_UNICAST;
  body.rtm_flags = route.gateway_on_link ? RTNH_F_ONLINK : 0;
  NetlinkMessage request(type, flags, body);
  if (destination.length > 0) request.Add(RTA_DST, destination.bytes);
  if (!route.gateway.empty()) {
    ASSIGN_OR_RETURN(const auto gateway, ParsePrefix(route.gateway));
    if (gateway.family != destination.family)
      return Fail(ErrorCode::kInvalidArgument, "gateway {} is of another family than {}",
                  route.gateway, route.destination);
    request.Add(RTA_GATEWAY, gateway.bytes);
  }
  request.AddNumber<uint32_t>(RTA_OIF, static_cast<uint32_t>(index));
  RETURN_IF_ERROR(Transact(std::move(request).Finish(++sequence_, NLM_F_ACK)));
  AbortStep();
  return {};
}

Status Netlink::AddRoute(const Route& route) {
  return While(ChangeRoute(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route),
               fmt::format("add route to {} by {}", route.destination, route.link));
}
Status Netlink::ReplaceRoute(const Route& route) {
  return While(ChangeRoute(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route),
               fmt::format("set route to {} by {}", route.destination, route.link));
}
Status Netlink::DeleteRoute(const Route& route) {
  return While(Ignore(ChangeRoute(RTM_DELROUTE, 0, route), ESRCH),
               fmt::format("delete route to {} by {}", route.destination, route.link));
}

Result<std::vector<Route>> Netlink::ListRoutes() {
  ASSIGN_OR_RETURN(const auto links, ListLinks());
  std::vector<Route> routes;
  for (const int family : {AF_INET, AF_INET6}) {
    rtmsg body{};
    body.rtm_family = static_cast<uint8_t>(family);
    NetlinkMessage request(RTM_GETROUTE, NLM_F_DUMP, body);
    ASSIGN_OR_RETURN(const auto answers, Transact(std::move(request).Finish(++sequence_, 0)));
    for (const auto& answer : answers) {
      NetlinkReader reader(answer);
      const auto found = reader.ReadBody<rtmsg>();
      if (!found || found->rtm_table != RT_TABLE_MAIN || found->rtm_type != RTN_UNICAST) continue;
      Route route;
      route.destination = family == AF_INET ? "0.0.0.0/0" : "::/0";
      reader.ForEachAttribute([&](uint16_t type, std::string_view value) {
        if (type == RTA_DST) route.destination = PrefixText(family, value, found->rtm_dst_len);
        if (type == RTA_GATEWAY) route.gateway = AddressText(family, value);
        if (type != RTA_OIF) return;
        for (const auto& link : links)
          if (link.index == ReadNumber<int>(value)) route.link = link.name;
      });
      routes.push_back(std::move(route));
    }
  }
  return routes;
}

Result<Route> Netlink::FindRoute(const std::string& address) {
  ASSIGN_OR_RETURN(const auto wanted, ParsePrefix(address));
  rtmsg body{};
  body.rtm_family = static_cast<uint8_t>(wanted.family);
  body.rtm_dst_len = static_cast<uint8_t>(wanted.bytes.size() * 8);
  body.rtm_flags = RTM_F_FIB_MATCH;  // the entry that matches, not the address
  NetlinkMessage request(RTM_GETROUTE, 0, body);
  request.Add(RTA_DST, wanted.bytes);
  const auto answers = Transact(std::move(request).Finish(++sequence_, NLM_F_ACK));
  if (!answers) {
    // None, or one that says unreachable, prohibited, blackhole (ip-route(8)).
    const int error = answers.error().system_errno;
    if (error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES || error == EINVAL)
      return Fail(ErrorCode::kNotFound, "no route to {}", address);
    return tl::unexpected(Error(answers.error()).While("find the route to " + address));
  }
  if (answers->empty())
    return Fail(ErrorCode::kInternal, "rtnetlink said nothing about the route to {}", address);
  NetlinkReader reader(answers->front());
  const auto found = reader.ReadBody<rtmsg>();
  if (!found) return Fail(ErrorCode::kInternal, "the route to {} cannot be read", address);
  Route route;
  route.destination = wanted.family == AF_INET ? "0.0.0.0/0" : "::/0";
  int index = 0;
  reader.ForEachAttribute([&](uint16_t type, std::string_view value) {
    if (type == RTA_DST && found->rtm_dst_len > 0)
      route.destination = PrefixText(wanted.family, value, found->rtm_dst_len);
    if (type == RTA_GATEWAY) route.gateway = AddressText(wanted.family, value);
    if (type == RTA_OIF) index = ReadNumber<int>(value);
  });
  if (index != 0) {
    ASSIGN_OR_RETURN(const Link link, FindLink(index));
    route.link = link.name;
  }
  return route;
}

Status Netlink::AddNeighbour(const std::string& link, const std::string& address,
                             const std::string& mac) {
  ASSIGN_OR_RETURN(const auto prefix, ParsePrefix(address));
  ASSIGN_OR_RETURN(const auto bytes, ParseMac(mac));
  ASSIGN_OR_RETURN(const int index, IndexOf(link));
  ndmsg body{};
  body.ndm_family = static_cast<uint8_t>(prefix.family);
  body.ndm_ifindex = index;
  body.ndm_state = NUD_PERMANENT;
  NetlinkMessage request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body);
  request.Add(NDA_DST, prefix.bytes);
  request.Add(NDA_LLADDR, bytes);
  auto added = Transact(std::move(request).Finish(++sequence_, NLM_F_ACK));
  if (!added)
    return tl::unexpected(
        std::move(added).error().While(fmt::format("add neighbour {} on {}", address, link)));
  AbortStep();
  return {};
}

}  // namespace catamaran

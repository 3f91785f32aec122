#include "sandbox/kernel/netlink.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <memory>

#include "sandbox/base/abort_step.h"
#include "sandbox/kernel/netlink_message.h"

namespace catamaran {
namespace {

constexpr size_t kLongestName = IFNAMSIZ - 1;

Status CheckName(const std::string& name) {
  if (name.empty() || name.size() > kLongestName)
    return Fail(ErrorCode::kInvalidArgument, "interface name \"{}\": must have 1 to {} bytes", name,
                kLongestName);
  return {};
}

ifinfomsg LinkBody(int index, uint32_t flags = 0, uint32_t mask = 0) {
  ifinfomsg body{};
  body.ifi_family = AF_UNSPEC;
  body.ifi_index = index;
  body.ifi_flags = flags;
  body.ifi_change = mask;
  return body;
}

void ReadCounters(std::string_view value, Link& link) {
  const auto counters = ReadNumber<rtnl_link_stats64>(value);
  link.rx_bytes = counters.rx_bytes;
  link.rx_errors = counters.rx_errors;
  link.rx_packets = counters.rx_packets;
  link.rx_dropped = counters.rx_dropped;
  link.tx_bytes = counters.tx_bytes;
  link.tx_errors = counters.tx_errors;
  link.tx_packets = counters.tx_packets;
  link.tx_dropped = counters.tx_dropped;
}

std::optional<Link> ReadLink(std::string_view answer) {
  NetlinkReader reader(answer);
  const auto body = reader.ReadBody<ifinfomsg>();
  if (!body) return std::nullopt;
  Link link;
  link.index = body->ifi_index;
  link.up = (body->ifi_flags & IFF_UP) != 0;
  reader.ForEachAttribute([&](uint16_t type, std::string_view value) {
    switch (type) {
      case IFLA_IFNAME:
        link.name = ReadText(value);
        break;
      case IFLA_ADDRESS:
        link.mac = MacText(value);
        break;
      case IFLA_MTU:
        link.mtu = ReadNumber<uint32_t>(value);
        break;
      case IFLA_STATS64:
        ReadCounters(value, link);
        break;
      case IFLA_LINKINFO:
        NetlinkReader(value).ForEachAttribute([&](uint16_t inner, std::string_view text) {
          if (inner == IFLA_INFO_KIND) link.kind = ReadText(text);
        });
        break;
    }
  });
  return link;
}

}  // namespace

Result<Netlink> Netlink::Open() {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return FailWithErrno("open a rtnetlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return FailWithErrno("bind the rtnetlink socket");
  // Errors come with an explanation, and lists are checked for changes between their parts.
  const int on = 1;
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return Netlink(std::move(fd));
}

Result<std::vector<std::string>> Netlink::Transact(std::string request) {
  if (send(fd_.get(), request.data(), request.size(), 0) < 0) return FailWithErrno("rtnetlink");
  std::vector<std::string> answers;
  constexpr size_t kBuffer = 64 << 10;
  const std::unique_ptr<char[]> buffer(new char[kBuffer]);
  while (true) {
    const ssize_t count = recv(fd_.get(), buffer.get(), kBuffer, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailWithErrno("rtnetlink");
    auto left = static_cast<size_t>(count);
    const char* at = buffer.get();
    while (left >= sizeof(nlmsghdr)) {
      nlmsghdr header;
      memcpy(&header, at, sizeof header);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > left) break;
      const std::string_view payload(at + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
      const size_t step = std::min<size_t>(left, NLMSG_ALIGN(header.nlmsg_len));
      at += step;
      left -= step;
      if (header.nlmsg_seq != sequence_) continue;  // of an earlier request that failed half-way
      if (header.nlmsg_type == NLMSG_DONE) return answers;
      if (header.nlmsg_type != NLMSG_ERROR) {
        answers.emplace_back(payload);
        continue;
      }
      const int error = -ReadNumber<int>(payload);
      if (error == 0) return answers;
      return FailErrno(error, "rtnetlink");
    }
  }
}

Result<std::vector<Link>> Netlink::ListLinks() {
  NetlinkMessage request(RTM_GETLINK, NLM_F_DUMP, LinkBody(0));
  ASSIGN_OR_RETURN(const auto answers, Transact(std::move(request).Finish(++sequence_, 0)));
  std::vector<Link> links;
  for (const auto& answer : answers)
    if (auto link = ReadLink(answer)) links.push_back(std::move(*link));
  return links;
}

Result<Link> Netlink::FindLink(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name));
  NetlinkMessage request(RTM_GETLINK, 0, LinkBody(0));
  request.AddText(IFLA_IFNAME, name);
  return AskForLink(std::move(request).Finish(++sequence_, NLM_F_ACK), name);
}

Result<Link> Netlink::FindLink(int index) {
  NetlinkMessage request(RTM_GETLINK, 0, LinkBody(index));
  return AskForLink(std::move(request).Finish(++sequence_, NLM_F_ACK), fmt::format("{}", index));
}

Result<Link> Netlink::AskForLink(std::string request, const std::string& which) {
  const auto answers = Transact(std::move(request));
  if (!answers && answers.error().system_errno == ENODEV)
    return Fail(ErrorCode::kNotFound, "no interface {}", which);
  if (!answers) return tl::unexpected(answers.error());
  auto link = answers->empty() ? std::nullopt : ReadLink(answers->front());
  if (!link) return Fail(ErrorCode::kInternal, "rtnetlink said nothing about {}", which);
  return *link;
}

Result<int> Netlink::IndexOf(const std::string& name) {
  ASSIGN_OR_RETURN(const auto link, FindLink(name));
  return link.index;
}

Status Netlink::AddVethPair(const VethPair& pair) {
  RETURN_IF_ERROR(CheckName(pair.name));
  RETURN_IF_ERROR(CheckName(pair.peer_name));
  NetlinkMessage request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, LinkBody(0));
  const auto describe = [&](const std::string& name, const std::string& mac) -> Status {
    request.AddText(IFLA_IFNAME, name);
    if (pair.mtu != 0) request.AddNumber(IFLA_MTU, pair.mtu);
    if (mac.empty()) return {};
    ASSIGN_OR_RETURN(const auto bytes, ParseMac(mac));
    request.Add(IFLA_ADDRESS, bytes);
    return {};
  };
  RETURN_IF_ERROR(describe(pair.name, pair.mac));
  const size_t info = request.Begin(IFLA_LINKINFO);
  request.AddText(IFLA_INFO_KIND, "veth");
  const size_t data = request.Begin(IFLA_INFO_DATA);
  const size_t peer = request.BeginWith(VETH_INFO_PEER, LinkBody(0));
  RETURN_IF_ERROR(describe(pair.peer_name, pair.peer_mac));
  if (pair.peer_namespace_fd >= 0)
    request.AddNumber<uint32_t>(IFLA_NET_NS_FD, static_cast<uint32_t>(pair.peer_namespace_fd));
  request.End(peer);
  request.End(data);
  request.End(info);
  auto made = Transact(std::move(request).Finish(++sequence_, NLM_F_ACK));
  if (!made) return tl::unexpected(std::move(made).error().While("make veth pair " + pair.name));
  AbortStep();
  return {};
}

Status Netlink::AddLink(const std::string& name, const std::string& kind) {
  RETURN_IF_ERROR(CheckName(name));
  NetlinkMessage request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, LinkBody(0));
  request.AddText(IFLA_IFNAME, name);
  const size_t info = request.Begin(IFLA_LINKINFO);
  request.AddText(IFLA_INFO_KIND, kind);
  request.End(info);
  auto made = Transact(std::move(request).Finish(++sequence_, NLM_F_ACK));
  AbortStep();
  if (made) return {};
  if (made.error().system_errno == EOPNOTSUPP)
    return Fail(ErrorCode::kFailedPrecondition, "this kernel has no links of kind {}", kind);
  return tl::unexpected(std::move(made).error().While(fmt::format("make {} {}", kind, name)));
}

Status Netlink::DeleteLink(const std::string& name) {
  const auto index = IndexOf(name);
  if (!index && index.error().code == ErrorCode::kNotFound) return {};
  if (!index) return tl::unexpected(index.error());
  NetlinkMessage request(RTM_DELLINK, 0, LinkBody(*index));
  auto deleted = Transact(std::move(request).Finish(++sequence_, NLM_F_ACK));
  AbortStep();
  if (deleted || deleted.error().system_errno == ENODEV) return {};
  return tl::unexpected(std::move(deleted).error().While("delete interface " + name));
}

Status Netlink::ChangeLink(const std::string& name, const LinkChange& change) {
  ASSIGN_OR_RETURN(const int index, IndexOf(name));
  NetlinkMessage request(RTM_NEWLINK, 0, LinkBody(index, change.flags, change.mask));
  if (!change.new_name.empty()) request.AddText(IFLA_IFNAME, change.new_name);
  if (!change.mac.empty()) request.Add(IFLA_ADDRESS, change.mac);
  if (change.mtu != 0) request.AddNumber(IFLA_MTU, change.mtu);
  if (change.namespace_fd >= 0)
    request.AddNumber<uint32_t>(IFLA_NET_NS_FD, static_cast<uint32_t>(change.namespace_fd));
  auto changed = Transact(std::move(request).Finish(++sequence_, NLM_F_ACK));
  if (!changed) return tl::unexpected(std::move(changed).error().While("change interface " + name));
  AbortStep();
  return {};
}

Status Netlink::SetLinkUp(const std::string& name) {
  return ChangeLink(name, {.flags = IFF_UP, .mask = IFF_UP});
}
Status Netlink::SetLinkDown(const std::string& name) {
  return ChangeLink(name, {.flags = 0, .mask = IFF_UP});
}
Status Netlink::RenameLink(const std::string& name, const std::string& new_name) {
  RETURN_IF_ERROR(CheckName(new_name));
  return ChangeLink(name, {.new_name = new_name});
}
Status Netlink::SetMtu(const std::string& name, uint32_t mtu) {
  return ChangeLink(name, {.mtu = mtu});
}
Status Netlink::SetMac(const std::string& name, const std::string& mac) {
  ASSIGN_OR_RETURN(auto bytes, ParseMac(mac));
  return ChangeLink(name, {.mac = std::move(bytes)});
}
Status Netlink::MoveLink(const std::string& name, int namespace_fd) {
  return ChangeLink(name, {.namespace_fd = namespace_fd});
}

}  // namespace catamaran

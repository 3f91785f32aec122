#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// One end of a link as the kernel shows it.
struct Link {
  int index = 0;
  std::string name;
  std::string kind;  // "veth", "tun", ...; empty for hardware
  std::string mac;   // "0a:58:0a:58:00:02"
  uint32_t mtu = 0;
  bool up = false;
  uint64_t rx_bytes = 0, rx_errors = 0, rx_packets = 0, rx_dropped = 0;
  uint64_t tx_bytes = 0, tx_errors = 0, tx_packets = 0, tx_dropped = 0;
};

struct VethPair {
  std::string name;  // this side, in the socket's namespace
  std::string mac;   // empty: the kernel chooses
  std::string peer_name;
  std::string peer_mac;
  int peer_namespace_fd = -1;  // -1: the same namespace
  uint32_t mtu = 0;            // 0: the kernel's 1500
};

struct Route {
  std::string destination;  // CIDR; "0.0.0.0/0" and "::/0" are default routes
  std::string gateway;      // empty: on link
  std::string link;
  // The gateway is on the link although no address says so (RTNH_F_ONLINK).
  bool gateway_on_link = false;
};

struct RateLimit {
  uint64_t bytes_per_second = 0;
  uint32_t burst_bytes = 0;  // may go at once after a pause; at least one packet
  uint32_t queue_bytes = 0;  // may wait; what comes then is dropped
};

// A rtnetlink socket. It stays in the network namespace it was opened in, whatever its thread does
// later, so a daemon's thread can work in many pods' namespaces at once. Requests are answered by
// the kernel at once; nothing here waits. Links are named, except where the kernel's answer carries
// an index. One thread at a time.
class Netlink {
 public:
  static Result<Netlink> Open();
  // In another namespace, by a short-lived thread. The caller keeps namespace_fd.
  static Result<Netlink> OpenIn(int namespace_fd);

  Netlink(Netlink&&) = default;
  Netlink& operator=(Netlink&&) = default;

  Result<Link> FindLink(const std::string& name);
  Result<Link> FindLink(int index);
  Result<std::vector<Link>> ListLinks();

  // Make both ends at once. kAlreadyExists where a name is taken.
  Status AddVethPair(const VethPair& pair);
  // A link of a kind that needs no more said, like "ifb". kFailedPrecondition where the kernel has
  // no such kind.
  Status AddLink(const std::string& name, const std::string& kind);
  Status DeleteLink(const std::string& name);  // absent is fine; deletes a veth's peer too
  Status SetLinkUp(const std::string& name);
  Status SetLinkDown(const std::string& name);
  Status RenameLink(const std::string& name, const std::string& new_name);  // the link must be down
  Status SetMtu(const std::string& name, uint32_t mtu);
  Status SetMac(const std::string& name, const std::string& mac);
  Status MoveLink(const std::string& name, int namespace_fd);

  // "10.88.0.2/32", "fd00::2/128"; one that is there already is fine. IPv6 addresses skip duplicate
  // address detection, so they work at once.
  Status AddAddress(const std::string& link, const std::string& address);
  Status RemoveAddress(const std::string& link, const std::string& address);  // absent is fine
  Result<std::vector<std::string>> ListAddresses(const std::string& link);

  // kAlreadyExists where the destination has a route in the main table.
  Status AddRoute(const Route& route);
  Status ReplaceRoute(const Route& route);
  Status DeleteRoute(const Route& route);  // absent is fine
  // Main table, unicast. Takes longer the more links and routes there are.
  Result<std::vector<Route>> ListRoutes();
  // The route that a packet to this address takes, of any table and type: "10.88.0.2" may go by the
  // destination "10.88.0.2/32". kNotFound where none leads there. One question to the kernel.
  Result<Route> FindRoute(const std::string& address);

  // A permanent neighbour entry: no ARP, no neighbour discovery for this address.
  Status AddNeighbour(const std::string& link, const std::string& address, const std::string& mac);

  // Sends everything that arrives on each of the two links out of the other one (tc ingress
  // qdisc, u32 filter matching all, mirred redirect): a pod's eth0 and the tap of its VM. A link
  // that has these already keeps them.
  Status JoinLinks(const std::string& first, const std::string& second);
  // One direction of it.
  Status RedirectIngress(const std::string& from, const std::string& to);
  // What the link sends keeps to this rate (tc-tbf(8)), instead of to one it kept to before.
  // kFailedPrecondition where the kernel cannot do that.
  Status LimitRate(const std::string& name, const RateLimit& limit);

  const UniqueFd& fd() const { return fd_; }

 private:
  explicit Netlink(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<std::vector<std::string>> Transact(std::string request);
  Result<Link> AskForLink(std::string request, const std::string& which);
  Result<int> IndexOf(const std::string& name);
  struct LinkChange {
    uint32_t flags = 0, mask = 0;
    std::string new_name, mac;  // mac: six bytes
    uint32_t mtu = 0;
    int namespace_fd = -1;
  };
  Status ChangeLink(const std::string& name, const LinkChange& change);
  Status ChangeAddress(uint16_t type, uint16_t flags, const std::string& link,
                       const std::string& address);
  Status ChangeRoute(uint16_t type, uint16_t flags, const Route& route);
  Status RedirectIngress(int from, int to);

  UniqueFd fd_;
  uint32_t sequence_ = 0;
};

// Runs `work` in that network namespace on a thread of its own, and waits for it: for whatever is
// bound to the namespace of its caller (opening /dev/net/tun, reading /proc/sys/net, sockets).
Status RunInNetworkNamespace(int namespace_fd, UniqueFunction<Status()> work);

// Makes a tap (IFF_TAP | IFF_NO_PI, with virtio headers where asked) in the calling thread's
// namespace; it lives as long as the descriptor. kAlreadyExists where the name is taken.
struct TapOptions {
  std::string name;
  bool virtio_header = false;
  bool multi_queue = false;
};
Result<UniqueFd> CreateTap(const TapOptions& options);

// Brings the loopback interface up.
Status BringUpLoopback(Netlink& netlink);

// Gives a card the identity the network chose: finds it by `current_name` (empty: by the name in
// the interface), sets MAC and MTU, renames it, adds addresses, brings it up and adds the routes in
// the order given. For the agent in a guest and for pods' own ends. Repeating it is fine.
Status ConfigureInterface(Netlink& netlink, const spec::NetworkInterface& interface,
                          const std::string& current_name = "");

// Counters of every link but lo in the socket's namespace: of the first 64, without those that have
// other than printable ASCII in their names.
Result<std::vector<spec::InterfaceStats>> ReadInterfaceStats(Netlink& netlink);

}  // namespace catamaran

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"

// Each test in network namespaces of its own.
namespace catamaran {
namespace {

// A new network namespace with lo up, kept by its descriptor alone.
UniqueFd NewNamespace() {
  UniqueFd made;
  std::thread([&] {
    EXPECT_EQ(unshare(CLONE_NEWNET), 0);
    made = OpenFile("/proc/thread-self/ns/net", O_RDONLY).value();
  }).join();
  auto netlink = Netlink::OpenIn(made.get()).value();
  EXPECT_TRUE(BringUpLoopback(netlink));
  return made;
}

sockaddr_in At(const std::string& address, uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &result.sin_addr);
  return result;
}

// A UDP socket in that namespace; it stays there.
UniqueFd UdpSocket(int namespace_fd, const std::string& address, uint16_t port) {
  UniqueFd made;
  const auto status = RunInNetworkNamespace(namespace_fd, [&]() -> Status {
    made = UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto name = At(address, port);
    if (bind(made.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
      return FailWithErrno("bind {}", address);
    return {};
  });
  EXPECT_TRUE(status) << status.error().message;
  return made;
}

// Whether a datagram gets from one socket to another and an answer comes back.
bool Talks(const UniqueFd& from, const UniqueFd& to, const std::string& address, uint16_t port) {
  const auto name = At(address, port);
  pollfd readable{to.get(), POLLIN, 0};
  for (int attempt = 0; attempt < 50; ++attempt) {  // the first ones may be lost to ARP
    if (sendto(from.get(), "ping", 4, 0, reinterpret_cast<const sockaddr*>(&name), sizeof name) !=
        4)
      return false;
    if (poll(&readable, 1, 200) == 1) break;
  }
  char buffer[16];
  sockaddr_in sender;
  socklen_t length = sizeof sender;
  if (recvfrom(to.get(), buffer, sizeof buffer, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&sender),
               &length) != 4)
    return false;
  if (sendto(to.get(), "pong", 4, 0, reinterpret_cast<sockaddr*>(&sender), length) != 4)
    return false;
  readable.fd = from.get();
  return poll(&readable, 1, 30000) == 1;
}

spec::NetworkInterface Card(const std::string& address) {
  spec::NetworkInterface card;
  card.set_name("eth0");
  card.set_mac("0a:58:0a:01:00:02");
  card.set_mtu(1400);
  card.add_addresses(address);
  auto* gateway = card.add_routes();
  gateway->set_destination("10.1.0.1/32");
  auto* fallback = card.add_routes();
  fallback->set_destination("0.0.0.0/0");
  fallback->set_gateway("10.1.0.1");
  return card;
}

TEST(NetlinkInTheKernel, JoinsTwoNamespacesByAVethPair) {
  const UniqueFd machine = NewNamespace();
  const UniqueFd pod = NewNamespace();
  auto outside = Netlink::OpenIn(machine.get()).value();
  auto inside = Netlink::OpenIn(pod.get()).value();
  const VethPair pair{.name = "host0",
                      .mac = "0a:58:00:00:00:01",
                      .peer_name = "tmp0",
                      .peer_namespace_fd = pod.get(),
                      .mtu = 1400};
  const auto made = outside.AddVethPair(pair);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(outside.AddVethPair(pair).error().code, ErrorCode::kAlreadyExists);
  ASSERT_TRUE(outside.AddAddress("host0", "10.1.0.1/32"));
  ASSERT_TRUE(outside.SetLinkUp("host0"));
  ASSERT_TRUE(outside.AddRoute({.destination = "10.1.0.2/32", .link = "host0"}));
  EXPECT_EQ(outside.AddRoute({.destination = "10.1.0.2/32", .link = "host0"}).error().code,
            ErrorCode::kAlreadyExists);
  ASSERT_TRUE(outside.AddNeighbour("host0", "10.1.0.2", "0a:58:0a:01:00:02"));

  for (int repetition = 0; repetition < 2; ++repetition) {
    const auto configured = ConfigureInterface(inside, Card("10.1.0.2/32"), "tmp0");
    ASSERT_TRUE(configured) << configured.error().message;
  }
  const auto link = inside.FindLink("eth0").value();
  EXPECT_EQ(link.mac, "0a:58:0a:01:00:02");
  EXPECT_EQ(link.mtu, 1400u);
  EXPECT_EQ(link.kind, "veth");
  EXPECT_TRUE(link.up);
  EXPECT_EQ(inside.FindLink("tmp0").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(inside.ListAddresses("eth0").value().front(), "10.1.0.2/32");
  const auto routes = inside.ListRoutes().value();
  EXPECT_TRUE(std::any_of(routes.begin(), routes.end(), [](const Route& route) {
    return route.destination == "0.0.0.0/0" && route.gateway == "10.1.0.1" && route.link == "eth0";
  }));

  EXPECT_EQ(inside.FindRoute("192.0.2.9").value().gateway, "10.1.0.1");
  EXPECT_EQ(inside.FindRoute("192.0.2.9").value().destination, "0.0.0.0/0");
  EXPECT_EQ(outside.FindRoute("10.1.0.2").value().destination, "10.1.0.2/32");
  EXPECT_EQ(outside.FindRoute("10.1.0.2").value().link, "host0");
  EXPECT_EQ(outside.FindRoute("10.1.0.3").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(inside.FindLink(link.index).value().name, "eth0");
  EXPECT_EQ(inside.FindLink(12345).error().code, ErrorCode::kNotFound);

  const auto server = UdpSocket(pod.get(), "10.1.0.2", 7000);
  const auto client = UdpSocket(machine.get(), "10.1.0.1", 7001);
  EXPECT_TRUE(Talks(client, server, "10.1.0.2", 7000));
  const auto stats = ReadInterfaceStats(inside).value();
  ASSERT_EQ(stats.size(), 1u);
  EXPECT_EQ(stats[0].name(), "eth0");
  EXPECT_GT(stats[0].rx_bytes(), 0u);
  EXPECT_GT(stats[0].tx_bytes(), 0u);

  ASSERT_TRUE(outside.DeleteLink("host0"));
  ASSERT_TRUE(outside.DeleteLink("host0")) << "absent is fine";
  EXPECT_EQ(inside.FindLink("eth0").error().code, ErrorCode::kNotFound) << "the peer goes too";
}

TEST(NetlinkInTheKernel, ManagesIpv6Addresses) {
  const UniqueFd pod = NewNamespace();
  auto netlink = Netlink::OpenIn(pod.get()).value();
  ASSERT_TRUE(netlink.AddVethPair({.name = "a", .peer_name = "b"}));
  ASSERT_TRUE(netlink.SetLinkUp("a"));
  ASSERT_TRUE(netlink.SetLinkUp("b"));
  ASSERT_TRUE(netlink.AddAddress("a", "fd00::1/64"));
  ASSERT_TRUE(netlink.AddAddress("a", "fd00::1/64")) << "again is fine";
  ASSERT_TRUE(netlink.AddRoute({.destination = "::/0", .gateway = "fd00::9", .link = "a"}));
  ASSERT_TRUE(netlink.DeleteRoute({.destination = "::/0", .gateway = "fd00::9", .link = "a"}));
  ASSERT_TRUE(netlink.DeleteRoute({.destination = "::/0", .gateway = "fd00::9", .link = "a"}));
  const auto before = netlink.ListAddresses("a").value();
  EXPECT_NE(std::find(before.begin(), before.end(), "fd00::1/64"), before.end());
  ASSERT_TRUE(netlink.RemoveAddress("a", "fd00::1/64"));
  ASSERT_TRUE(netlink.RemoveAddress("a", "fd00::1/64")) << "absent is fine";
  const auto after = netlink.ListAddresses("a").value();
  EXPECT_EQ(std::find(after.begin(), after.end(), "fd00::1/64"), after.end());
}

TEST(NetlinkInTheKernel, RenamesAndMovesLinks) {
  const UniqueFd first = NewNamespace();
  const UniqueFd second = NewNamespace();
  auto here = Netlink::OpenIn(first.get()).value();
  auto there = Netlink::OpenIn(second.get()).value();
  ASSERT_TRUE(here.AddVethPair({.name = "a", .peer_name = "b"}));
  ASSERT_TRUE(here.RenameLink("a", "moved"));
  ASSERT_TRUE(here.MoveLink("moved", second.get()));
  EXPECT_FALSE(here.FindLink("moved"));
  EXPECT_TRUE(there.FindLink("moved"));
  EXPECT_EQ(here.RenameLink("b", "a-name-that-is-too-long").error().code,
            ErrorCode::kInvalidArgument);
}

// The namespace of a VM pod: the network's eth0 joined to the tap of the VM. The test is the VM.
TEST(NetlinkInTheKernel, JoinsACardToATap) {
  const UniqueFd machine = NewNamespace();
  const UniqueFd pod = NewNamespace();
  auto outside = Netlink::OpenIn(machine.get()).value();
  auto inside = Netlink::OpenIn(pod.get()).value();
  ASSERT_TRUE(
      outside.AddVethPair({.name = "host0", .peer_name = "eth0", .peer_namespace_fd = pod.get()}));
  ASSERT_TRUE(outside.SetLinkUp("host0"));
  ASSERT_TRUE(inside.SetLinkUp("eth0"));
  UniqueFd tap;
  const auto made = RunInNetworkNamespace(pod.get(), [&]() -> Status {
    ASSIGN_OR_RETURN(tap, CreateTap({.name = "tap0"}));
    return {};
  });
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE(inside.SetLinkUp("tap0"));
  for (int repetition = 0; repetition < 2; ++repetition) {
    const auto joined = inside.JoinLinks("eth0", "tap0");
    ASSERT_TRUE(joined) << joined.error().message;
  }

  // In: an ARP request for an address beyond the card arrives at the tap.
  ASSERT_TRUE(outside.AddAddress("host0", "10.1.0.1/24"));
  const auto client = UdpSocket(machine.get(), "10.1.0.1", 7001);
  const auto name = At("10.1.0.2", 7000);
  ASSERT_EQ(sendto(client.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&name), sizeof name),
            1);
  unsigned char frame[2000];
  const auto read_arp = [&] {
    pollfd readable{tap.get(), POLLIN, 0};
    while (poll(&readable, 1, 30000) == 1) {
      const ssize_t size = read(tap.get(), frame, sizeof frame);
      if (size >= 42 && frame[12] == 0x08 && frame[13] == 0x06) return true;
    }
    return false;
  };
  ASSERT_TRUE(read_arp());

  // Out: the answer that the test writes to the tap reaches the machine, which then sends the data.
  unsigned char answer[42];
  memcpy(answer, frame + 6, 6);  // to the one who asked
  const unsigned char mac[6] = {0x0a, 0x58, 0, 0, 0, 2};
  memcpy(answer + 6, mac, 6);
  memcpy(answer + 12, frame + 12, 8);
  answer[20] = 0;
  answer[21] = 2;  // reply
  memcpy(answer + 22, mac, 6);
  memcpy(answer + 28, frame + 38, 4);
  memcpy(answer + 32, frame + 22, 10);
  ASSERT_EQ(write(tap.get(), answer, sizeof answer), 42);
  pollfd readable{tap.get(), POLLIN, 0};
  bool arrived = false;
  while (!arrived && poll(&readable, 1, 30000) == 1) {
    const ssize_t size = read(tap.get(), frame, sizeof frame);
    arrived = size == 14 + 20 + 8 + 1 && frame[42] == 'x';
  }
  EXPECT_TRUE(arrived);
}

TEST(NetlinkInTheKernel, MakesLinksOfAKindAndSaysWhichTheKernelLacks) {
  const UniqueFd machine = NewNamespace();
  auto netlink = Netlink::OpenIn(machine.get()).value();
  ASSERT_TRUE(netlink.AddLink("bridge0", "bridge"));
  EXPECT_EQ(netlink.FindLink("bridge0").value().kind, "bridge");
  EXPECT_EQ(netlink.AddLink("bridge0", "bridge").error().code, ErrorCode::kAlreadyExists);
  const auto lacks = netlink.AddLink("x", "nosuchkind");
  ASSERT_FALSE(lacks);
  EXPECT_EQ(lacks.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(lacks.error().message, "this kernel has no links of kind nosuchkind");
}

TEST(NetlinkInTheKernel, RefusesATapNameThatIsTaken) {
  const UniqueFd pod = NewNamespace();
  const auto status = RunInNetworkNamespace(pod.get(), []() -> Status {
    ASSIGN_OR_RETURN(const auto first, CreateTap({.name = "tap0", .virtio_header = true}));
    const auto second = CreateTap({.name = "tap0"});
    EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
    return {};
  });
  EXPECT_TRUE(status) << status.error().message;
}

}  // namespace
}  // namespace catamaran

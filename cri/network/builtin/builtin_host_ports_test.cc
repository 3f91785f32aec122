// Ports of the machine that lead to pods of the built-in network, by every way there is.
#include <poll.h>
#include <sys/socket.h>

#include "cri/network/builtin/testing/builtin_machine.h"

namespace catamaran {
namespace {

using Protocol = PortMapping::Protocol;

constexpr char kMachineV4[] = "192.0.2.2", kMachineV6[] = "2001:db8::2";

class HostPortsOnBuiltin : public BuiltinMachine {
 protected:
  PodNetworkResult AttachServer(PodNetwork& network, const std::string& host_ip,
                                Protocol protocol = Protocol::kTcp) {
    return Attach(network, Request("server", {{protocol, 80, 8080, host_ip}}));
  }
  // By which of the machine's addresses the world reaches it.
  std::vector<std::string> WaysFromTheWorld(const UniqueFd& listener) {
    std::vector<std::string> ways;
    for (const char* address : {kMachineV4, kMachineV6})
      if (In(world_.get(), [&] { return !Reach(listener, address, 8080, 300).empty(); }))
        ways.emplace_back(address);
    return ways;
  }
};

using Ways = std::vector<std::string>;

TEST_F(HostPortsOnBuiltin, LeadToThePodFromEverywhereOverBothFamilies) {
  const auto network = Make();
  const auto server = AttachServer(*network, "");
  const auto client = Attach(*network, Request("client"));
  const auto listener = ListenIn(server, "::", 80);
  EXPECT_NE(Reach(listener, "127.0.0.1", 8080), "") << "loopback";
  EXPECT_EQ(In(world_.get(), [&] { return Reach(listener, kMachineV6, 8080); }), "2001:db8::1");
  EXPECT_EQ(In(world_.get(), [&] { return Reach(listener, kMachineV4, 8080); }),
            "::ffff:192.0.2.1");
  for (const std::string address : {kMachineV4, kMachineV6}) {
    EXPECT_NE(Reach(listener, address, 8080), "") << "the machine itself, " << address;
    EXPECT_NE(In(client, [&] { return Reach(listener, address, 8080); }), "") << address;
    EXPECT_NE(In(server, [&] { return Reach(listener, address, 8080); }), "")
        << "the pod itself, " << address;
  }
  ASSERT_TRUE(network->Detach(PodId("server"), Soon()));
  EXPECT_EQ(Reach(listener, "127.0.0.1", 8080, 300), "");
  EXPECT_EQ(Reach(listener, kMachineV6, 8080, 300), "");
}

// No rule takes what is sent to ::1, so that a client that tries it first is refused at once.
TEST_F(HostPortsOnBuiltin, LeaveTheLoopbackAddressOfIpv6Alone) {
  const auto network = Make();
  AttachServer(*network, "");
  const UniqueFd client(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address address = At("::1", 8080);
  EXPECT_NE(
      connect(client.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length),
      0);
  EXPECT_EQ(errno, ECONNREFUSED);
  const auto own = Listen("::1", 8080).value();
  EXPECT_EQ(Reach(own, "::1", 8080), "::1");
}

TEST_F(HostPortsOnBuiltin, KeepToTheirAddress) {
  struct Row {
    std::string host_ip;
    Ways ways;
    bool loopback;
  };
  for (const Row& row :
       {Row{"", {kMachineV4, kMachineV6}, true}, Row{"0.0.0.0", {kMachineV4}, true},
        Row{"::", {kMachineV6}, false}, Row{kMachineV4, {kMachineV4}, false},
        Row{kMachineV6, {kMachineV6}, false}, Row{"::ffff:192.0.2.2", {kMachineV4}, false},
        Row{"127.0.0.1", {}, true}}) {
    SCOPED_TRACE(row.host_ip);
    const auto network = Make();
    const auto server = AttachServer(*network, row.host_ip);
    const auto listener = ListenIn(server, "::", 80);
    EXPECT_EQ(WaysFromTheWorld(listener), row.ways);
    EXPECT_EQ(!Reach(listener, "127.0.0.1", 8080, 300).empty(), row.loopback);
    ASSERT_TRUE(network->Detach(PodId("server"), Soon()));
  }
}

TEST_F(HostPortsOnBuiltin, AreOfOnePodAtATime) {
  auto network = Make();
  AttachServer(*network, "0.0.0.0");
  const auto rival = [&](const std::string& host_ip, Protocol protocol = Protocol::kTcp) {
    const auto attached =
        network->Attach(Request("rival", {{protocol, 81, 8080, host_ip}}), Soon());
    EXPECT_TRUE(network->Detach(PodId("rival"), Soon()));
    return attached ? "" : attached.error().message;
  };
  constexpr char kTaken[] = "host port 8080/tcp is taken by pod server";
  for (const char* host_ip : {"", "0.0.0.0", "127.0.0.1", "192.0.2.2"})
    EXPECT_EQ(rival(host_ip), kTaken) << host_ip;
  for (const char* host_ip : {"::", "2001:db8::2"}) EXPECT_EQ(rival(host_ip), "") << host_ip;
  EXPECT_EQ(rival("", Protocol::kUdp), "");
  network.reset();
  network = Make();
  EXPECT_EQ(rival(""), kTaken) << "a restart forgets nobody";
  ASSERT_TRUE(network->Detach(PodId("server"), Soon()));
  EXPECT_EQ(rival(""), "");
}

TEST_F(HostPortsOnBuiltin, ThatNoAddressOfThePodCanAnswerAreRefused) {
  options_.cidr_v6.clear();
  const auto network = Make();
  const auto refused =
      network->Attach(Request("pod", {{Protocol::kTcp, 80, 8080, "2001:db8::2"}}), Soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("host_ip \"2001:db8::2\""), std::string::npos)
      << refused.error().message;
  EXPECT_TRUE(network->Attach(Request("pod", {{Protocol::kTcp, 80, 8080, ""}}), Soon()));
}

UniqueFd SocketAt(int type, int protocol, const std::string& text, uint16_t port) {
  const Address address = At(text, port);
  UniqueFd made(socket(address.storage.ss_family, type | SOCK_CLOEXEC, protocol));
  EXPECT_EQ(bind(made.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length),
            0);
  return made;
}

bool SendTo(const UniqueFd& from, std::string_view bytes, const std::string& text, uint16_t port) {
  const Address address = At(text, port);
  return sendto(from.get(), bytes.data(), bytes.size(), 0,
                reinterpret_cast<const sockaddr*>(&address.storage),
                address.length) == static_cast<ssize_t>(bytes.size());
}

TEST_F(HostPortsOnBuiltin, CarryDatagramsBothWays) {
  const auto network = Make();
  const auto server = AttachServer(*network, "", Protocol::kUdp);
  for (const auto& [any, machine] :
       {std::pair<std::string, std::string>{"0.0.0.0", kMachineV4}, {"::", kMachineV6}}) {
    const auto in =
        In(server, [&] { return std::make_shared<UniqueFd>(SocketAt(SOCK_DGRAM, 0, any, 80)); });
    const auto out = In(
        world_.get(), [&] { return std::make_shared<UniqueFd>(SocketAt(SOCK_DGRAM, 0, any, 0)); });
    ASSERT_TRUE(SendTo(*out, "ping", machine, 8080));
    pollfd ready{in->get(), POLLIN, 0};
    ASSERT_EQ(poll(&ready, 1, 30000), 1) << machine;
    char bytes[16];
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    ASSERT_EQ(
        recvfrom(in->get(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &length),
        4);
    ASSERT_EQ(sendto(in->get(), "pong", 4, 0, reinterpret_cast<sockaddr*>(&from), length), 4);
    ready.fd = out->get();
    ASSERT_EQ(poll(&ready, 1, 30000), 1) << machine;
  }
}

// An SCTP packet (RFC 9260) that begins an association; the kernel's connection tracking looks at
// its checksum, a CRC32c.
std::string SctpInit(uint16_t from, uint16_t to) {
  const auto big = [](uint32_t value, int bytes) {
    std::string text;
    for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
    return text;
  };
  const std::string ports = big(from, 2) + big(to, 2), tag = big(0, 4);
  const std::string chunk = big(1, 1) + big(0, 1) + big(20, 2) + big(0x1234, 4) + big(65536, 4) +
                            big(1, 2) + big(1, 2) + big(7, 4);
  uint32_t crc = ~0u;
  for (const char c : ports + tag + big(0, 4) + chunk) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  crc = ~crc;
  return ports + tag + std::string(reinterpret_cast<const char*>(&crc), 4) + chunk;
}

// Kernels without SCTP sockets forward it no less.
TEST_F(HostPortsOnBuiltin, CarrySctp) {
  const auto network = Make();
  const auto server = AttachServer(*network, "", Protocol::kSctp);
  for (const auto& [any, machine] :
       {std::pair<std::string, std::string>{"0.0.0.0", kMachineV4}, {"::", kMachineV6}}) {
    const auto in = In(server, [&] {
      return std::make_shared<UniqueFd>(SocketAt(SOCK_RAW, IPPROTO_SCTP, any, 0));
    });
    const auto out = In(world_.get(), [&] {
      return std::make_shared<UniqueFd>(SocketAt(SOCK_RAW, IPPROTO_SCTP, any, 0));
    });
    ASSERT_TRUE(SendTo(*out, SctpInit(4000, 8080), machine, 0));
    pollfd ready{in->get(), POLLIN, 0};
    ASSERT_EQ(poll(&ready, 1, 30000), 1) << machine;
    char packet[128];
    const ssize_t size = read(in->get(), packet, sizeof packet);
    const ssize_t header = machine == kMachineV4 ? 20 : 0;  // raw sockets of IPv4 give it too
    ASSERT_EQ(size, header + 32);
    EXPECT_EQ(std::string_view(packet + header, 4), std::string_view("\x0f\xa0\0\x50", 4));
  }
}

// CVE-2020-8558: a pod with a host port sends to the machine's loopback addresses by its card.
TEST_F(HostPortsOnBuiltin, APodCannotReachTheMachinesLoopback) {
  const auto network = Make();
  const auto pod = Attach(*network, Request("one", {{PortMapping::Protocol::kTcp, 80, 8080, ""}}));
  const UniqueFd secret(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const Address name = At("127.0.0.1", 9000);
  ASSERT_EQ(bind(secret.get(), reinterpret_cast<const sockaddr*>(&name.storage), name.length), 0);
  auto inside = Netlink::OpenIn(Open(pod).get()).value();
  ASSERT_TRUE(inside.RemoveAddress("lo", "127.0.0.1/8"));
  ASSERT_TRUE(inside.AddRoute({.destination = "127.0.0.0/8",
                               .gateway = "10.88.0.1",
                               .link = "eth0",
                               .gateway_on_link = true}));
  // Counted where it arrives, so that the test knows the packets were sent.
  const auto received = [&] {
    auto machine = Netlink::Open().value();
    const auto links = machine.ListLinks().value();
    uint64_t bytes = 0;
    for (const auto& link : links)
      if (link.name.starts_with("cat")) bytes += link.rx_bytes;
    return bytes;
  };
  const uint64_t before = received();
  ASSERT_TRUE(In(pod, [&] {
    const UniqueFd client(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return sendto(client.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&name.storage),
                  name.length) == 1;
  }));
  while (received() == before) usleep(1000);
  pollfd readable{secret.get(), POLLIN, 0};
  EXPECT_EQ(poll(&readable, 1, 200), 0);
}

}  // namespace
}  // namespace catamaran

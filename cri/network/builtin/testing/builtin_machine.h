#pragma once

#include <thread>

#include "cri/network/builtin/builtin_network.h"
#include "cri/network/pod_bandwidth.h"
#include "cri/network/testing/network_machine.h"

namespace catamaran {

// The machine has a link to an outside world.
class BuiltinMachine : public NetworkMachine {
 protected:
  void SetUp() override {
    NetworkMachine::SetUp();
    std::thread([&] {
      ASSERT_EQ(unshare(CLONE_NEWNET), 0);
      world_ = OpenFile("/proc/thread-self/ns/net", O_RDONLY).value();
    }).join();
    auto netlink = Netlink::Open().value();
    // The world knows nothing of pods' addresses.
    ASSERT_TRUE(netlink.AddVethPair(
        {.name = "uplink", .peer_name = "world", .peer_namespace_fd = world_.get()}));
    ASSERT_TRUE(netlink.AddAddress("uplink", "192.0.2.2/24"));
    ASSERT_TRUE(netlink.AddAddress("uplink", "2001:db8::2/64"));
    ASSERT_TRUE(netlink.SetLinkUp("uplink"));
    ASSERT_TRUE(
        netlink.AddRoute({.destination = "0.0.0.0/0", .gateway = "192.0.2.1", .link = "uplink"}));
    ASSERT_TRUE(
        netlink.AddRoute({.destination = "::/0", .gateway = "2001:db8::1", .link = "uplink"}));
    auto outside = Netlink::OpenIn(world_.get()).value();
    ASSERT_TRUE(outside.AddAddress("world", "192.0.2.1/24"));
    ASSERT_TRUE(outside.AddAddress("world", "2001:db8::1/64"));
    ASSERT_TRUE(outside.SetLinkUp("world"));
    options_.root = HostPath(base_ / "root");
    options_.run = HostPath(base_ / "run");
    options_.cidr_v6 = "fd00:88::/64";
    ASSERT_TRUE(MakeDirectories(options_.root.value()));
    ASSERT_TRUE(MakeDirectories(options_.run.value()));
  }

  std::unique_ptr<PodNetwork> Make() {
    auto made = MakeBuiltinNetwork(options_);
    EXPECT_TRUE(made) << made.error().message;
    return made ? std::move(*made) : nullptr;
  }

  // All that makes something of its own on the machine.
  static PodNetworkRequest WithEverything(const std::string& pod) {
    auto request = Request(pod, {{PortMapping::Protocol::kTcp, 80, 8080, ""}});
    request.annotations = {{kIngressBandwidth, "10M"}, {kEgressBandwidth, "10M"}};
    return request;
  }

  UniqueFd ListenInWorld(const std::string& address, uint16_t port) {
    return std::move(*In(world_.get(), [&] {
      auto made = Listen(address, port);
      EXPECT_TRUE(made) << made.error().message;
      return std::make_shared<UniqueFd>(made ? std::move(*made) : UniqueFd());
    }));
  }

  // Everything a pod may leave: links, pins, mounts, records, rules.
  std::string Remains() {
    std::string text;
    auto netlink = Netlink::Open().value();
    const auto links = netlink.ListLinks().value();
    for (const auto& link : links) text += link.name + "\n";
    const auto routes = netlink.ListRoutes().value();
    for (const auto& route : routes)
      if (!route.destination.starts_with("fe80")) text += route.destination + "\n";
    return text + FilesIn({options_.run / "netns", options_.root / "network"}) + Mounts() +
           OutputOf("nft list ruleset");
  }

  BuiltinNetworkOptions options_;
  UniqueFd world_;
};

}  // namespace catamaran

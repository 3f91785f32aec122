#include <thread>

#include "cri/network/builtin/testing/builtin_machine.h"

namespace catamaran {
namespace {

using BuiltinNetworkTest = BuiltinMachine;

TEST_F(BuiltinNetworkTest, PodsTheMachineAndTheWorldReachEachOther) {
  const auto network = Make();
  const auto one = Attach(*network, Request("one"));
  const auto two = Attach(*network, Request("two"));
  EXPECT_EQ(one.ips(), (std::vector<std::string>{"10.88.0.2", "fd00:88::2"}));
  EXPECT_EQ(two.ips(), (std::vector<std::string>{"10.88.0.3", "fd00:88::3"}));
  EXPECT_NE(one.interfaces[0].mac(), two.interfaces[0].mac());
  EXPECT_EQ(one.interfaces[0].name(), "eth0");

  for (const std::string address : {"10.88.0.3", "fd00:88::3"}) {
    const auto listener = ListenIn(two, address, 80);
    EXPECT_NE(Reach(listener, address, 80), "") << "from the machine to " << address;
    const auto seen = In(one, [&] { return Reach(listener, address, 80); });
    EXPECT_TRUE(seen == "10.88.0.2" || seen == "fd00:88::2") << "from the other pod: " << seen;
  }
  for (const auto& [machine, pod] : {std::pair<std::string, std::string>{"192.0.2.2", "10.88.0.2"},
                                     {"2001:db8::2", "fd00:88::2"}}) {
    const auto on_machine = Listen(machine, 81).value();
    EXPECT_EQ(In(one, [&] { return Reach(on_machine, machine, 81); }), pod);
  }

  for (const std::string family : {"192.0.2.", "2001:db8::"}) {
    const UniqueFd in_world = ListenInWorld(family + "1", 82);
    EXPECT_EQ(In(one, [&] { return Reach(in_world, family + "1", 82); }), family + "2")
        << "masqueraded";
  }
}

TEST_F(BuiltinNetworkTest, TheMachinesEndHasNoAddressButTheGateways) {
  const auto addresses = [] {
    auto machine = Netlink::Open().value();
    const auto links = machine.ListLinks().value();
    for (const auto& link : links)
      if (link.name.starts_with("cat")) return machine.ListAddresses(link.name).value();
    return std::vector<std::string>{"no link"};
  };
  auto network = Make();
  Attach(*network, Request("both"));
  EXPECT_EQ(addresses(), (std::vector<std::string>{"10.88.0.1/32", "fe80::1/64"}));
  ASSERT_TRUE(network->Detach(PodId("both"), Soon()));
  options_.cidr_v6.clear();
  network.reset();
  network = Make();
  Attach(*network, Request("v4"));
  EXPECT_EQ(addresses(), (std::vector<std::string>{"10.88.0.1/32"}));
}

TEST_F(BuiltinNetworkTest, LeavesNothingBehind) {
  const auto before = Remains();
  {
    const auto network = Make();
    const auto idle = Remains();
    Attach(*network, WithEverything("one"));
    Attach(*network, Request("two"));
    EXPECT_EQ(network->Attach(Request("one"), Soon()).error().code, ErrorCode::kAlreadyExists);
    for (int repetition = 0; repetition < 2; ++repetition)
      for (const char* pod : {"one", "two", "never-attached"})
        EXPECT_TRUE(network->Detach(PodId(pod), Soon()));
    EXPECT_EQ(Remains(), idle);
  }
  EXPECT_EQ(Remains(), before) << "nor does the daemon";
}

TEST_F(BuiltinNetworkTest, KeepsPodsOverARestart) {
  std::string address;
  {
    const auto network = Make();
    address =
        Attach(*network, Request("kept", {{PortMapping::Protocol::kTcp, 80, 8080, ""}})).ips()[0];
    Attach(*network, Request("gone"));
  }
  const auto network = Make();
  const auto added = Attach(*network, Request("new"));
  EXPECT_NE(added.ips()[0], address);
  ASSERT_TRUE(network->DetachExcept({PodId("kept"), PodId("new")}, Soon()));
  const auto pins = ListDirectory((options_.run / "netns").value()).value();
  EXPECT_EQ(pins, (std::vector<std::string>{"kept", "new"}));
  PodNetworkResult kept;
  kept.netns = options_.run / "netns" / "kept";
  const auto listener = ListenIn(kept, "0.0.0.0", 80);
  EXPECT_NE(Reach(listener, "127.0.0.1", 8080), "");
}

TEST_F(BuiltinNetworkTest, TwoDaemonsShareAMachineAndARange) {
  const auto first = Make();
  options_.root = HostPath(base_ / "root2");
  options_.run = HostPath(base_ / "run2");
  ASSERT_TRUE(MakeDirectories(options_.root.value()));
  ASSERT_TRUE(MakeDirectories(options_.run.value()));
  const auto second = Make();
  const auto one = Attach(*first, Request("one"));
  const auto two = Attach(*second, Request("two"));
  EXPECT_NE(one.ips()[0], two.ips()[0]);
  ASSERT_TRUE(second->DetachExcept({}, Soon()));
  const auto listener = ListenIn(one, "0.0.0.0", 80);
  EXPECT_NE(Reach(listener, one.ips()[0], 80), "");
}

TEST_F(BuiltinNetworkTest, PassesOverWhatOthersHaveHoweverManyTheyAre) {
  auto netlink = Netlink::Open().value();
  for (int slot = 2; slot < 22; ++slot)
    ASSERT_TRUE(netlink.AddRoute({.destination = fmt::format("10.88.0.{}/32", slot),
                                  .gateway = "192.0.2.1",
                                  .link = "uplink"}));
  ASSERT_TRUE(netlink.AddRoute({.destination = "fd00:88::16/128", .link = "uplink"}));
  // The machine's own address is no less somebody's.
  ASSERT_TRUE(netlink.AddAddress("uplink", "10.88.0.23/32"));
  const auto network = Make();
  EXPECT_EQ(Attach(*network, Request("one")).ips(),
            (std::vector<std::string>{"10.88.0.24", "fd00:88::18"}));
  EXPECT_EQ(Attach(*network, Request("two")).ips()[0], "10.88.0.25");
}

TEST_F(BuiltinNetworkTest, TakesAddressesFromThePodCidr) {
  {
    const auto network = Make();
    Attach(*network, Request("old"));
    ASSERT_TRUE(network->SetPodCidr("10.77.1.0/29"));
    EXPECT_FALSE(network->SetPodCidr("10.77.1.1/29"));
    EXPECT_EQ(Attach(*network, Request("one")).ips(), std::vector<std::string>{"10.77.1.3"})
        << "the old pod holds the second slot";
  }
  const auto network = Make();
  for (const char* pod : {"two", "three", "four"}) Attach(*network, Request(pod));
  EXPECT_EQ(network->Attach(Request("five"), Soon()).error().code, ErrorCode::kResourceExhausted);
  ASSERT_TRUE(network->Detach(PodId("two"), Soon()));
  EXPECT_TRUE(network->Attach(Request("five"), Soon()));
}

TEST_F(BuiltinNetworkTest, TakesAddressesOfBothFamiliesFromThePodCidr) {
  options_.cidr_v6.clear();
  const auto network = Make();
  EXPECT_EQ(Attach(*network, Request("before")).ips(), std::vector<std::string>{"10.88.0.2"});
  for (const std::string wrong : {"10.77.1.0/24,10.78.1.0/24", "10.77.1.0/24,", "fd00:77::/64,x"}) {
    const auto refused = network->SetPodCidr(wrong);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument) << wrong;
  }
  ASSERT_TRUE(network->SetPodCidr("fd00:77::/64,10.77.1.0/24"));
  const auto one = Attach(*network, Request("one")), two = Attach(*network, Request("two"));
  EXPECT_EQ(one.ips(), (std::vector<std::string>{"10.77.1.3", "fd00:77::3"}));
  for (const std::string& address : two.ips())
    EXPECT_NE(In(one, [&] { return Reach(ListenIn(two, address, 80), address, 80); }), "")
        << address;
  const UniqueFd in_world = ListenInWorld("2001:db8::1", 82);
  EXPECT_EQ(In(one, [&] { return Reach(in_world, "2001:db8::1", 82); }), "2001:db8::2");
}

TEST_F(BuiltinNetworkTest, RefusesImpossibleRequests) {
  const auto network = Make();
  for (const std::string id : {"", "..", "a/b", "a b"})
    EXPECT_EQ(network->Attach(Request(id), Soon()).error().code, ErrorCode::kInvalidArgument) << id;
  for (const std::string ip : {"localhost", "1.2.3.4/24", "::1 accept; drop"})
    EXPECT_EQ(network->Attach(Request("a", {{PortMapping::Protocol::kTcp, 1, 1, ip}}), Soon())
                  .error()
                  .code,
              ErrorCode::kInvalidArgument)
        << ip;
  EXPECT_FALSE(network->Attach(Request("a", {{PortMapping::Protocol::kTcp, 0, 1, ""}}), Soon()));
  options_.cidr_v4 = "10.88.0.0/31";
  EXPECT_EQ(MakeBuiltinNetwork(options_).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(BuiltinNetworkTest, ManyPodsAttachAtOnce) {
  const auto network = Make();
  const auto idle = Remains();
  EXPECT_EQ(AttachManyAtOnce(*network).size(), 8u);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back(
        [&, i] { EXPECT_TRUE(network->Detach(PodId("pod" + std::to_string(i / 2)), Soon())); });
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(network->DetachExcept({}, Soon()));
  EXPECT_EQ(Remains(), idle);
}

TEST_F(BuiltinNetworkTest, ConvergesAfterAKillAtAnyStepOfAttach) {
  std::string idle;
  {
    const auto network = Make();
    idle = Remains();
  }
  const auto clean = Remains();
  const int steps = KillAtEveryStep(
      [&] {
        const auto network = MakeBuiltinNetwork(options_);
        (void)(*network)->Attach(WithEverything("pod"), Soon());
      },
      [&](int step) {
        {
          const auto network = Make();
          EXPECT_TRUE(network->DetachExcept({}, Soon()));
          EXPECT_EQ(Remains(), idle) << "killed at step " << step;
          EXPECT_TRUE(network->Attach(Request("pod"), Soon())) << "the address is free again";
          EXPECT_TRUE(network->Detach(PodId("pod"), Soon()));
        }
        EXPECT_EQ(Remains(), clean) << "killed at step " << step;
      });
  EXPECT_GT(steps, 10);
}

TEST_F(BuiltinNetworkTest, ConvergesAfterAKillAtAnyStepOfDetach) {
  { const auto network = Make(); }
  const auto clean = Remains();
  const int steps = KillDetachAtEveryStep([&] { return Make(); }, WithEverything("pod"),
                                          [&](int step) {
                                            {
                                              const auto network = Make();
                                              EXPECT_TRUE(network->Detach(PodId("pod"), Soon()));
                                              EXPECT_TRUE(network->DetachExcept({}, Soon()));
                                            }
                                            EXPECT_EQ(Remains(), clean)
                                                << "killed at step " << step;
                                          });
  EXPECT_GT(steps, 5);
}

}  // namespace
}  // namespace catamaran

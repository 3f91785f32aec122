#include "cri/network/builtin/address_range.h"

#include <gtest/gtest.h>

#include "cri/network/pod_network.h"

namespace catamaran {
namespace {

TEST(AddressRange, NumbersItsAddresses) {
  const auto range = AddressRange::Parse("10.88.0.0/16").value();
  EXPECT_EQ(range.cidr(), "10.88.0.0/16");
  EXPECT_EQ(range.gateway(), "10.88.0.1");
  EXPECT_EQ(range.Address(2), "10.88.0.2");
  EXPECT_EQ(range.SingleRoute(259), "10.88.1.3/32");
  EXPECT_EQ(range.Address(range.last_slot()), "10.88.255.254");
  const auto six = AddressRange::Parse("fd00:1::/64").value();
  EXPECT_EQ(six.SingleRoute(0x12345), "fd00:1::1:2345/128");
  EXPECT_EQ(six.last_slot(), 0xfffffu);
  EXPECT_EQ(AddressRange::Parse("10.0.0.8/29").value().last_slot(), 6u);
  EXPECT_EQ(AddressRange::Parse("10.0.0.8/29").value().Address(6), "10.0.0.14");
}

TEST(AddressRange, KnowsWhatItContains) {
  const auto range = AddressRange::Parse("10.88.4.0/22").value();
  EXPECT_TRUE(range.Contains("10.88.7.255"));
  EXPECT_FALSE(range.Contains("10.88.8.0"));
  EXPECT_FALSE(range.Contains("fd00::1"));
  EXPECT_FALSE(range.Contains("nonsense"));
}

TEST(AddressRange, RefusesWhatHasNoRoom) {
  for (const std::string text : {"", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/30", "10.0.0.0/32",
                                 "fd00::/127", "fd00::1/64", "10.0.0.0/33", "x/8"})
    EXPECT_EQ(AddressRange::Parse(text).error().code, ErrorCode::kInvalidArgument) << text;
}

TEST(AddressRange, ComesAloneOrAsADualStackPair) {
  const auto pair = AddressRange::ParseList("fd00::/64,10.1.0.0/24").value();
  ASSERT_EQ(pair.size(), 2u);
  EXPECT_EQ(pair[0].cidr(), "10.1.0.0/24");
  EXPECT_EQ(AddressRange::ParseList("fd00::/64").value().size(), 1u);
  for (const std::string text :
       {"10.1.0.0/24,10.2.0.0/24", "10.1.0.0/24,", ",", "fd00::/64,fd01::/64"})
    EXPECT_FALSE(AddressRange::ParseList(text)) << text;
}

TEST(PodNetworkResult, ListsIpv4First) {
  PodNetworkResult result;
  auto& interface = result.interfaces.emplace_back();
  interface.add_addresses("fd00::2/128");
  interface.add_addresses("10.88.0.2/32");
  EXPECT_EQ(result.ips(), (std::vector<std::string>{"10.88.0.2", "fd00::2"}));
}

}  // namespace
}  // namespace catamaran

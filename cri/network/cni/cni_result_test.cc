#include "cri/network/cni/cni_result.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

using nlohmann::json;

Result<CniResult> Parse(const char* text) { return ParseCniResult(json::parse(text), "answer"); }

constexpr char kBridge[] = R"({
  "cniVersion": "1.0.0",
  "interfaces": [{"name": "cni0", "mac": "de:f6:b6:38:77:f9"}, {"name": "veth1"},
                 {"name": "eth0", "mac": "0a:aa:d7:2a:66:92", "sandbox": "/run/netns/p"}],
  "ips": [{"interface": 2, "address": "10.22.0.2/24", "gateway": "10.22.0.1"},
          {"interface": 2, "address": "fd00:22::2/64"},
          {"interface": 0, "address": "10.22.0.1/24"}],
  "routes": [{"dst": "0.0.0.0/0"}], "dns": {}})";

TEST(CniResult, GivesThePodsAddressesOnly) {
  const auto result = Parse(kBridge);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->PodAddresses("eth0"),
            (std::vector<std::string>{"10.22.0.2/24", "fd00:22::2/64"}));
  EXPECT_TRUE(result->PodAddresses("eth1").empty());
  EXPECT_TRUE(result->PodAddresses("cni0").empty()) << "an interface of the machine";
}

TEST(CniResult, CountsAddressesThatNameNoInterface) {
  const auto result = Parse(R"({"ips": [{"address": "10.0.0.2/8", "interface": -1},
                                        {"address": "10.0.0.3/8", "interface": null}]})");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->PodAddresses("eth0").size(), 2u);
}

TEST(CniResult, ReadsTheWordsOfEveryVersion) {
  const auto old = Parse(R"({"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.5/16", "gateway":
    "10.1.0.1"}, "ip6": {"ip": "fd00::5/64"}})");
  ASSERT_TRUE(old) << old.error().message;
  EXPECT_EQ(old->PodAddresses("eth0"), (std::vector<std::string>{"10.1.0.5/16", "fd00::5/64"}));
  const auto third = Parse(R"({"cniVersion": "0.3.1", "ips": [{"version": "4", "address":
    "10.1.0.5/16"}]})");
  ASSERT_TRUE(third) << third.error().message;
  EXPECT_EQ(third->PodAddresses("eth0"), std::vector<std::string>{"10.1.0.5/16"});
  const auto newest = Parse(R"({"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "mtu": 1400,
    "sandbox": "/n", "socketPath": "", "pciID": ""}], "ips": [{"address": "10.1.0.5/16", "interface":
    0}], "routes": [{"dst": "0.0.0.0/0", "mtu": 1400, "table": 5, "scope": 0}]})");
  ASSERT_TRUE(newest) << newest.error().message;
  EXPECT_EQ(newest->PodAddresses("eth0").size(), 1u);
}

TEST(CniResult, IsHandedOnInTheVersionOfTheRequest) {
  const json result = json::parse(kBridge);
  const json old = ResultForVersion(result, {0, 4, 0});
  EXPECT_EQ(old["cniVersion"], "0.4.0");
  EXPECT_EQ(old["ips"][0]["version"], "4");
  EXPECT_EQ(old["ips"][1]["version"], "6");
  EXPECT_EQ(old["routes"], result["routes"]) << "the rest is kept";
  EXPECT_EQ(ResultForVersion(old, {1, 0, 0}), result);
}

struct Wrong {
  const char *name, *text, *expected;
};
class WrongCniResult : public testing::TestWithParam<Wrong> {};
TEST_P(WrongCniResult, IsRefusedByKey) {
  const auto result = Parse(GetParam().text);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(result.error().message.find(GetParam().expected), std::string::npos)
      << result.error().message;
}
INSTANTIATE_TEST_SUITE_P(
    Rows, WrongCniResult,
    testing::Values(
        Wrong{"Ips", R"({"ips": {}})", "answer: ips: {} is wrong: must be a list"},
        Wrong{"Ip", R"({"ips": ["10.0.0.1/8"]})", "ips[0]: \"10.0.0.1/8\" is wrong"},
        Wrong{"NoAddress", R"({"ips": [{}]})", "ips[0].address: \"\" is wrong"},
        Wrong{"NoLength", R"({"ips": [{"address": "10.0.0.1"}]})", "like 10.22.0.5/16"},
        Wrong{"NotAnAddress", R"({"ips": [{"address": "ten/8"}]})", "ips[0].address: \"ten/8\""},
        Wrong{"LongPrefix", R"({"ips": [{"address": "10.0.0.1/33"}]})", "ips[0].address"},
        Wrong{"AddressIsNumber", R"({"ips": [{"address": 10}]})", "must be a string"},
        Wrong{"Gateway", R"({"ips": [{"address": "10.0.0.1/8", "gateway": "gw"}]})",
              "ips[0].gateway: \"gw\" is wrong: must be an IP address"},
        Wrong{"Interface", R"({"ips": [{"address": "10.0.0.1/8", "interface": 1}]})",
              "ips[0].interface: 1 is wrong"},
        Wrong{"NegativeInterface", R"({"ips": [{"address": "10.0.0.1/8", "interface": -2}]})",
              "ips[0].interface: -2 is wrong"},
        Wrong{"InterfaceIsText", R"({"ips": [{"address": "10.0.0.1/8", "interface": "eth0"}]})",
              "ips[0].interface"},
        Wrong{"Interfaces", R"({"interfaces": [7]})", "interfaces[0]: 7 is wrong"},
        Wrong{"InterfaceName", R"({"interfaces": [{"name": []}]})", "interfaces[0].name: []"},
        Wrong{"OldIp", R"({"ip4": {"ip": "10.0.0.1"}})", "ip4.ip: \"10.0.0.1\" is wrong"},
        Wrong{"OldObject", R"({"ip6": "::1"})", "ip6: \"::1\" is wrong: must be an object"}),
    [](const auto& row) { return row.param.name; });

TEST(CniResult, BoundsWhatAPluginMayAnswer) {
  json result = {{"ips", json::array()}};
  for (int i = 0; i < 1025; ++i) result["ips"].push_back({{"address", "10.0.0.1/8"}});
  EXPECT_FALSE(ParseCniResult(result, "answer"));
}

}  // namespace
}  // namespace catamaran

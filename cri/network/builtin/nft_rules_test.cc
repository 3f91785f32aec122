#include "cri/network/builtin/nft_rules.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

network::NetworkRecord Pod(const std::vector<std::string>& addresses) {
  network::NetworkRecord record;
  for (const auto& address : addresses) record.mutable_interface()->add_addresses(address);
  return record;
}

void AddPort(network::NetworkRecord& record, const std::string& host_ip) {
  auto* port = record.add_host_ports();
  port->set_protocol("tcp");
  port->set_host_port(8080);
  port->set_container_port(80);
  port->set_host_ip(host_ip);
}

std::string HostPortChain(const network::NetworkRecord& record) {
  const auto rules = NftRules("abcdef0", {record});
  const auto start = rules.find("chain hostports {\n") + 18;
  return rules.substr(start, rules.find("  }", start) - start);
}

TEST(NftRules, AreOneTableThatIsReplacedWhole) {
  const auto rules = NftRules("abcdef0", {});
  EXPECT_TRUE(
      rules.starts_with("table inet catamaran_abcdef0\ndelete table inet catamaran_abcdef0\n"));
  EXPECT_NE(rules.find("iifname \"catabcdef0*\" oifname != \"catabcdef0*\" masquerade"),
            std::string::npos);
  EXPECT_EQ(rules, NftRules("abcdef0", {Pod({"10.88.0.2/32"})})) << "a pod alone adds no rule";
}

TEST(NftRules, LeadHostPortsToThePodInEachFamily) {
  auto pod = Pod({"10.88.0.2/32", "fd00::2/128"});
  AddPort(pod, "");
  EXPECT_EQ(HostPortChain(pod),
            "    meta nfproto ipv4 tcp dport 8080 dnat ip to 10.88.0.2:80\n"
            "    meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd00::2]:80\n");
}

TEST(NftRules, KeepToTheHostAddressOfAPort) {
  auto pod = Pod({"10.88.0.2/32", "fd00::2/128"});
  AddPort(pod, "127.0.0.1");
  EXPECT_EQ(HostPortChain(pod),
            "    ip daddr 127.0.0.1 meta nfproto ipv4 tcp dport 8080 dnat ip to 10.88.0.2:80\n");
}

TEST(NftRules, EveryAddressOfOneFamilyIsThatFamily) {
  auto pod = Pod({"10.88.0.2/32", "fd00::2/128"});
  AddPort(pod, "0.0.0.0");
  EXPECT_EQ(HostPortChain(pod), "    meta nfproto ipv4 tcp dport 8080 dnat ip to 10.88.0.2:80\n");
  pod.clear_host_ports();
  AddPort(pod, "::");
  EXPECT_EQ(HostPortChain(pod), "    meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd00::2]:80\n");
}

}  // namespace
}  // namespace catamaran

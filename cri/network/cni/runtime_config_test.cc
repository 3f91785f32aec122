#include "cri/network/cni/runtime_config.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

using nlohmann::json;

PodNetworkRequest Request() {
  PodNetworkRequest request;
  request.pod = PodId("p");
  request.ports = {{PortMapping::Protocol::kTcp, 80, 8080, ""},
                   {PortMapping::Protocol::kUdp, 53, 0, ""},
                   {PortMapping::Protocol::kSctp, 90, 9090, "10.0.0.1"}};
  request.annotations = {{"kubernetes.io/ingress-bandwidth", "10M"},
                         {"kubernetes.io/egress-bandwidth", "1.5Gi"}};
  request.dns = PodNetworkRequest::Dns{{"10.96.0.10"}, {"cluster.local"}, {"ndots:5"}};
  request.cgroup_parent = "/kubepods/pod1";
  return request;
}

TEST(RuntimeConfig, HasWhatConventionsSay) {
  const auto arguments = CapabilityArguments(Request(), "10.1.0.0/24,fd00::/64");
  ASSERT_TRUE(arguments) << arguments.error().message;
  EXPECT_EQ((*arguments)["portMappings"], json::parse(R"([
    {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
    {"hostPort": 9090, "containerPort": 90, "protocol": "sctp", "hostIP": "10.0.0.1"}])"));
  EXPECT_EQ((*arguments)["bandwidth"], json::parse(R"({
    "ingressRate": 10000000, "ingressBurst": 4294967295,
    "egressRate": 1610612736, "egressBurst": 4294967295})"));
  EXPECT_EQ((*arguments)["dns"], json::parse(R"({"servers": ["10.96.0.10"],
    "searches": ["cluster.local"], "options": ["ndots:5"]})"));
  EXPECT_EQ((*arguments)["ipRanges"],
            json::parse(R"([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]])"));
  EXPECT_EQ((*arguments)["cgroupPath"], "/kubepods/pod1");
  EXPECT_EQ((*arguments)["io.kubernetes.cri.pod-annotations"]["kubernetes.io/ingress-bandwidth"],
            "10M");
}

TEST(RuntimeConfig, IsEmptyForAPodThatAsksForNothing) {
  PodNetworkRequest request;
  request.ports = {{PortMapping::Protocol::kTcp, 80, 0, ""}};
  EXPECT_EQ(CapabilityArguments(request, "").value(), json::object());
}

TEST(RuntimeConfig, GivesAPluginWhatItDeclaresAndNothingElse) {
  CniPlugin plugin;
  plugin.capabilities = {"bandwidth", "infinibandGUID"};
  const json given = RuntimeConfigFor(plugin, CapabilityArguments(Request(), "").value());
  EXPECT_EQ(given.size(), 1u);
  EXPECT_TRUE(given.contains("bandwidth"));
}

TEST(RuntimeConfig, RefusesWrongBandwidthsByAnnotation) {
  for (const std::string text : {"", "fast", "-1M", "10 M", "1k1", "999", "2P", "1e400", "inf",
                                 "nan", "0x10", "+5M", "5Mi\n", "1e", "1.2.3"}) {
    auto request = Request();
    request.annotations["kubernetes.io/egress-bandwidth"] = text;
    const auto arguments = CapabilityArguments(request, "");
    ASSERT_FALSE(arguments) << text;
    EXPECT_EQ(arguments.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(arguments.error().message.find("kubernetes.io/egress-bandwidth"), std::string::npos)
        << arguments.error().message;
  }
}

TEST(RuntimeConfig, ReadsQuantitiesAsKubernetesWritesThem) {
  const std::pair<const char*, uint64_t> rows[] = {
      {"0", 0},        {"1", 1},           {"10k", 10'000}, {"1M", 1'000'000},
      {"1Ki", 1024},   {"1.5Mi", 1572864}, {"2e3", 2000},   {"1E3", 1000},
      {".5k", 500},    {"100m", 1},        {"5.", 5},       {"1T", 1'000'000'000'000},
      {"1Gi", 1 << 30}};
  for (const auto& [text, value] : rows) {
    const auto parsed = ParseQuantity(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, value) << text;
  }
}

}  // namespace
}  // namespace catamaran

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
    "ingressRate": 10000000, "ingressBurst": 1000000,
    "egressRate": 1610612736, "egressBurst": 161061273})"));
  EXPECT_EQ((*arguments)["dns"], json::parse(R"({"servers": ["10.96.0.10"],
    "searches": ["cluster.local"], "options": ["ndots:5"]})"));
  EXPECT_EQ((*arguments)["ipRanges"],
            json::parse(R"([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]])"));
  EXPECT_EQ((*arguments)["cgroupPath"], "/kubepods/pod1");
  EXPECT_EQ((*arguments)["io.kubernetes.cri.pod-annotations"]["kubernetes.io/ingress-bandwidth"],
            "10M");
}

TEST(RuntimeConfig, TellsTheHostPortsOfWhatWasRecorded) {
  const auto ports = HostPortsIn(CapabilityArguments(Request(), "").value().dump());
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports[0].protocol + fmt::format(" {} ", ports[0].port) + ports[0].ip, "tcp 8080 ");
  EXPECT_EQ(ports[1].protocol + fmt::format(" {} ", ports[1].port) + ports[1].ip,
            "sctp 9090 10.0.0.1");
  for (const char* damaged : {"", "[]", "{", R"({"portMappings": 1})", R"({"portMappings": [7]})",
                              R"({"portMappings": [{"hostPort": "x"}]})"})
    EXPECT_TRUE(HostPortsIn(damaged).empty()) << damaged;
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

}  // namespace
}  // namespace catamaran

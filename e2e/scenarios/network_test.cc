// The pod's network: from the host, between pods on any hulls, ports of the host.
#include "e2e/harness/pod_test.h"
#include "e2e/harness/traffic.h"

namespace catamaran::e2e {
namespace {

// Answers every connection with one line.
constexpr char kServer[] = "while :; do echo served | nc -l -p 8080; done";

class Network : public PodTest {
 protected:
  std::string StartServer(const std::string& pod) {
    return CreateAndStart(pod, ShellConfig("server", kServer));
  }
};

TEST_P(Network, TheHostReachesAPod) {
  const std::string pod = RunPod();
  StartServer(pod);
  const std::string ip = IpOf(pod);
  EXPECT_TRUE(WaitUntil([&] { return ReadFrom(ip, 8080) == "served\n"; }));
}

TEST_P(Network, PodsReachEachOtherOverBothFamilies) {
  const std::string pod = RunPod(), other = RunPod();
  const std::string client = StartSleeper(pod);
  StartServer(other);
  EXPECT_TRUE(WaitUntil([&] {
    auto reply = Exec(client, {"/bin/nc", "-w", "5", IpOf(other), "8080"});
    return reply.ok() && reply->stdout() == "served\n";
  }));
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(other);
  const std::string v6 = cri().PodSandboxStatus(request)->status().network().additional_ips(0).ip();
  EXPECT_TRUE(WaitUntil([&] {
    auto reply = Exec(client, {"/bin/ping", "-6", "-c", "1", "-W", "5", v6});
    return reply.ok() && reply->exit_code() == 0;
  })) << v6;
}

TEST_P(Network, APodOnNsAndAPodOnThisHandlerReachEachOther) {
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = PodConfig("on-ns");
  request.set_runtime_handler("ns");
  auto on_ns = cri().RunPodSandbox(request);
  ASSERT_TRUE(on_ns.ok()) << on_ns.message();
  const std::string pod = RunPod();
  const std::string client = StartSleeper(pod);
  auto config = ShellConfig("client", "sleep 1000");
  v1::CreateContainerRequest create;
  create.set_pod_sandbox_id(on_ns->pod_sandbox_id());
  *create.mutable_config() = config;
  *create.mutable_sandbox_config() = request.config();
  auto created = cri().CreateContainer(create);
  ASSERT_TRUE(created.ok()) << created.message();
  v1::StartContainerRequest start;
  start.set_container_id(created->container_id());
  ASSERT_TRUE(cri().StartContainer(start).ok());
  auto pings = [&](const std::string& from, const std::string& to) {
    auto reply = Exec(from, {"/bin/ping", "-c", "1", "-W", "10", to});
    return reply.ok() && reply->exit_code() == 0;
  };
  EXPECT_TRUE(WaitUntil([&] { return pings(client, IpOf(on_ns->pod_sandbox_id())); }));
  EXPECT_TRUE(WaitUntil([&] { return pings(created->container_id(), IpOf(pod)); }));
  StopAndRemovePod(on_ns->pod_sandbox_id());
}

TEST_P(Network, APortOfTheHostLeadsToThePod) {
  auto config = PodConfig();
  auto* mapping = config.add_port_mappings();
  mapping->set_protocol(v1::TCP);
  mapping->set_container_port(8080);
  mapping->set_host_port(18080);
  const std::string pod = RunPod(config);
  StartServer(pod);
  ASSERT_TRUE(WaitUntil([&] { return ReadFrom(IpOf(pod), 8080) == "served\n"; }));
  EXPECT_TRUE(WaitUntil([&] { return ReadFrom("127.0.0.1", 18080) == "served\n"; }));
  // From another pod, by any address of the host: here the gateway's.
  const std::string client = StartSleeper(RunPod());
  const std::string gateway =
      Output(client, "ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'");
  ASSERT_FALSE(gateway.empty());
  EXPECT_TRUE(WaitUntil([&] {
    auto reply = Exec(
        client, {"/bin/sh", "-c", "nc -w 5 " + gateway.substr(0, gateway.find('\n')) + " 18080"});
    return reply.ok() && reply->stdout() == "served\n";
  }));
}

TEST_P(Network, ThePodHasEth0LoopbackAndADefaultRoute) {
  const std::string id = StartSleeper(RunPod());
  const std::string links = Output(id, "ip -o link");
  EXPECT_NE(links.find("eth0"), std::string::npos) << links;
  EXPECT_EQ(Output(id, "ping -c 1 -W 5 127.0.0.1 >/dev/null && echo up"), "up\n");
  EXPECT_NE(Output(id, "ip route").find("default"), std::string::npos);
}

// NodeLocal DNSCache and others have an address on one.
TEST_P(Network, APrivilegedContainerMakesADummyLinkWhereThereWasNone) {
  if (!on_vm() && RunProgram({"/usr/bin/unshare", "--net", "/sbin/ip", "link", "add", "dummy1",
                              "type", "dummy"})
                          .exit_code != 0)
    GTEST_SKIP() << "this machine's kernel has no dummy links";
  auto pod_config = PodConfig();
  pod_config.mutable_linux()->mutable_security_context()->set_privileged(true);
  auto config = ShellConfig("privileged", "exec sleep 1000");
  config.mutable_linux()->mutable_security_context()->set_privileged(true);
  const std::string id = CreateAndStart(RunPod(pod_config), config);
  EXPECT_EQ(Output(id,
                   "ip -o link | grep -c dummy; ip link add dummy1 type dummy && "
                   "ip addr add 169.254.20.10/32 dev dummy1 && ip link del dummy1 && echo made"),
            "0\nmade\n");
}

TEST_P(Network, AnAddressIsFreeAgainAfterItsPod) {
  const std::string pod = RunPod();
  const std::string ip = IpOf(pod);
  StopAndRemovePod(pod);
  EXPECT_EQ(ReadFrom(ip, 8080), "");
  EXPECT_FALSE(IpOf(RunPod()).empty());
}

CATAMARAN_ON_EVERY_HANDLER(Network);

}  // namespace
}  // namespace catamaran::e2e

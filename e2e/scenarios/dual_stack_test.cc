// Both families, by every way: between pods, the node and another machine; ports of the node;
// rates.
#include <signal.h>
#include <sys/wait.h>

#include <cstdio>

#include "e2e/harness/daemon.h"
#include "e2e/harness/pod_test.h"
#include "e2e/harness/traffic.h"

namespace catamaran::e2e {
namespace {

constexpr uint16_t kPort = 8080, kHostPort = 18090;

class DualStack : public PodTest {
 protected:
  struct Served {
    std::string pod, container;
    std::vector<std::string> ips;  // one of each family
  };
  // A pod whose container says its name to whoever connects to kPort.
  Served StartServer(const std::string& name, v1::PodSandboxConfig config,
                     const std::string& handler) {
    Served served;
    served.pod = handler == GetParam() ? RunPod(config) : RunOn(handler, config);
    auto container = ContainerConfig(
        "main", {"/bin/nc", "-ll", "-p", std::to_string(kPort), "-e", "/bin/echo", name});
    v1::CreateContainerRequest create;
    create.set_pod_sandbox_id(served.pod);
    *create.mutable_config() = container;
    *create.mutable_sandbox_config() = config;
    const auto created = cri().CreateContainer(create);
    EXPECT_TRUE(created.ok()) << created.message();
    served.container = created->container_id();
    v1::StartContainerRequest start;
    start.set_container_id(served.container);
    const auto started = cri().StartContainer(start);
    EXPECT_TRUE(started.ok()) << started.message();
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(served.pod);
    const auto network = cri().PodSandboxStatus(request)->status().network();
    served.ips = {network.ip()};
    for (const auto& more : network.additional_ips()) served.ips.push_back(more.ip());
    EXPECT_EQ(served.ips.size(), 2u);
    return served;
  }
  std::string RunOn(const std::string& handler, const v1::PodSandboxConfig& config) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = config;
    request.set_runtime_handler(handler);
    const auto reply = cri().RunPodSandbox(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    others_.push_back(reply->pod_sandbox_id());
    return reply->pod_sandbox_id();
  }
  void TearDown() override {
    for (const auto& pod : others_) StopAndRemovePod(pod);
    PodTest::TearDown();
  }
  ::testing::AssertionResult Hears(const Served& from, const std::string& ip, uint16_t port,
                                   const std::string& word) {
    std::string heard;
    const bool done = WaitUntil([&] {
      const auto reply = Exec(from.container, {"/bin/nc", "-w", "5", ip, std::to_string(port)});
      heard = reply.ok() ? reply->stdout() + reply->stderr() : reply.message();
      return heard == word + "\n";
    });
    return (done ? ::testing::AssertionSuccess() : ::testing::AssertionFailure())
           << ip << " port " << port << ": " << heard;
  }
  static ::testing::AssertionResult NodeHears(const std::string& ip, uint16_t port,
                                              const std::string& word) {
    std::string heard;
    const bool done = WaitUntil([&] { return (heard = ReadFrom(ip, port)) == word + "\n"; });
    return (done ? ::testing::AssertionSuccess() : ::testing::AssertionFailure())
           << ip << " port " << port << ": " << heard;
  }
  static ::testing::AssertionResult OtherHears(const OtherMachine& other, const std::string& ip,
                                               uint16_t port, const std::string& word) {
    std::string heard;
    const bool done = WaitUntil([&] {
      heard = other.Output(fmt::format("busybox nc -w 5 {} {}", ip, port));
      return heard == word + "\n";
    });
    return (done ? ::testing::AssertionSuccess() : ::testing::AssertionFailure())
           << ip << " port " << port << ": " << heard;
  }
  v1::PodSandboxConfig WithHostPort(const std::string& name, const std::string& host_ip = "") {
    auto config = PodConfig(name);
    auto* mapping = config.add_port_mappings();
    mapping->set_container_port(kPort);
    mapping->set_host_port(kHostPort);
    mapping->set_host_ip(host_ip);
    return config;
  }

 private:
  std::vector<std::string> others_;
};

TEST_P(DualStack, EverybodyReachesEverybodyOverBothFamilies) {
  const OtherMachine other;
  ASSERT_EQ(other.error(), "");
  const auto node_server = StartProgram(
      {"/bin/busybox", "nc", "-ll", "-p", "9001", "-e", "/bin/busybox", "echo", "node"},
      "/dev/null");
  ASSERT_TRUE(node_server) << node_server.error().message;
  const Served one = StartServer("one", PodConfig("one"), GetParam());
  const Served two = StartServer("two", PodConfig("two"), kNs);
  for (const size_t family : {0, 1}) {
    SCOPED_TRACE(family == 0 ? "IPv4" : "IPv6");
    EXPECT_TRUE(Hears(one, two.ips[family], kPort, "two"));
    EXPECT_TRUE(Hears(two, one.ips[family], kPort, "one"));
    EXPECT_TRUE(NodeHears(one.ips[family], kPort, "one"));
    EXPECT_TRUE(Hears(one, family == 0 ? other.kNodeV4 : other.kNodeV6, 9001, "node"));
    // It has no way back to a pod's address: this is masqueraded.
    EXPECT_TRUE(Hears(one, family == 0 ? other.kV4 : other.kV6, other.kPort, "other"));
    const auto ping = Exec(one.container, {"/bin/ping", family == 0 ? "-4" : "-6", "-c", "1", "-W",
                                           "10", two.ips[family]});
    EXPECT_EQ(ping->exit_code(), 0) << ping->stdout() << ping->stderr();
  }
  kill(*node_server, SIGKILL);
  waitpid(*node_server, nullptr, 0);
}

TEST_P(DualStack, APortOfTheNodeLeadsToThePodFromEverywhereAndOutlivesTheDaemon) {
  const OtherMachine other;
  ASSERT_EQ(other.error(), "");
  const Served server = StartServer("served", WithHostPort("server"), GetParam());
  const Served client = StartServer("client", PodConfig("client"), kNs);
  const auto everywhere = [&] {
    for (const std::string node : {OtherMachine::kNodeV4, OtherMachine::kNodeV6}) {
      EXPECT_TRUE(OtherHears(other, node, kHostPort, "served"));
      EXPECT_TRUE(NodeHears(node, kHostPort, "served"));
      EXPECT_TRUE(Hears(client, node, kHostPort, "served"));
      EXPECT_TRUE(Hears(server, node, kHostPort, "served")) << "the pod itself";
    }
    EXPECT_TRUE(NodeHears("127.0.0.1", kHostPort, "served"));
    EXPECT_EQ(ReadFrom("::1", kHostPort), "");
  };
  everywhere();
  world().daemon().Kill();
  EXPECT_TRUE(OtherHears(other, OtherMachine::kNodeV6, kHostPort, "served"));
  ASSERT_TRUE(world().RestartDaemon());
  everywhere();

  v1::RunPodSandboxRequest rival;
  *rival.mutable_config() = WithHostPort("rival", "127.0.0.1");
  rival.set_runtime_handler(GetParam());
  const auto refused = cri().RunPodSandbox(rival);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find(
                fmt::format("host port {}/tcp is taken by pod {}", kHostPort, server.pod)),
            std::string::npos)
      << refused.message();

  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(server.pod);
  ASSERT_TRUE(cri().StopPodSandbox(stop).ok());
  for (const std::string node : {"127.0.0.1", OtherMachine::kNodeV4, OtherMachine::kNodeV6})
    EXPECT_EQ(ReadFrom(node, kHostPort), "") << node;
  const auto rules = RunProgram({"/usr/sbin/nft", "list", "ruleset"});
  EXPECT_EQ(rules.output.find(std::to_string(kHostPort)), std::string::npos) << rules.output;
}

TEST_P(DualStack, ARateIsKeptAndTheOtherDirectionIsFree) {
  constexpr uint64_t kBytes = 1'500'000;
  // A megabyte a second; a burst's bytes and a tenth for clocks that differ.
  constexpr Seconds kLeast{(kBytes - 100'000) / 1e6 * 0.9};
  for (const std::string direction : {"ingress", "egress"}) {
    SCOPED_TRACE(direction);
    auto config = PodConfig(direction);
    (*config.mutable_annotations())["kubernetes.io/" + direction + "-bandwidth"] = "8M";
    const std::string pod = RunPod(config);
    CreateAndStart(pod, ShellConfig("sends", fmt::format("exec nc -ll -p 8081 -e /bin/dd "
                                                         "if=/dev/zero bs=1000 count={}",
                                                         kBytes / 1000)));
    CreateAndStart(pod, ShellConfig("counts", "exec nc -ll -p 8082 -e /bin/wc -c"));
    const std::string ip = IpOf(pod);
    const auto time = [&](bool sends) {
      Result<Seconds> took = Fail(ErrorCode::kUnavailable, "not tried");
      EXPECT_TRUE(WaitUntil([&] {
        took = sends ? TimeDownload(ip, 8081, kBytes) : TimeUpload(ip, 8082, kBytes);
        return took.has_value();
      })) << took.error().message;
      return took.value_or(Seconds{0});
    };
    const bool egress = direction == "egress";
    const Seconds limited = time(egress);
    Seconds free = time(!egress);
    for (int i = 0; i < 4; ++i) free = std::min(free, time(!egress));
    printf("%s: %.2f s of %.2f at least; the other direction %.3f s\n", direction.c_str(),
           limited.count(), kLeast.count(), free.count());
    EXPECT_GT(limited, kLeast);
    EXPECT_LT(free, limited / 2);
  }
}

TEST_P(DualStack, ARateThatIsNoneIsRefusedByItsName) {
  auto config = PodConfig();
  (*config.mutable_annotations())["kubernetes.io/egress-bandwidth"] = "fast";
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  request.set_runtime_handler(GetParam());
  const auto refused = cri().RunPodSandbox(request);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("kubernetes.io/egress-bandwidth"), std::string::npos)
      << refused.message();
}

CATAMARAN_ON_EVERY_HANDLER(DualStack);

}  // namespace
}  // namespace catamaran::e2e

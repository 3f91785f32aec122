// A daemon of its own whose network is CNI's, with Debian's plugins: pods of every hull on one
// bridge, readiness that follows the configuration, a daemon that dies while plugins work.
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "e2e/harness/plain_pod.h"
#include "e2e/harness/pod_test.h"
#include "e2e/harness/traffic.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

using nlohmann::json;

class Cni : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(TheWorld().HasHandler(GetParam())) << "the daemon has no handler " << GetParam();
    base_ = TheWorld().paths().base + "/cni";
    run_ = TheWorld().paths().run() + "/cni";
    cgroup_root_ = TheWorld().paths().OtherCgroupRoot("cni");
    for (const auto& folder : {base_ + "/net.d", base_ + "/logs", base_ + "/recorder", run_})
      ASSERT_TRUE(MakeDirectories(folder));
    ASSERT_TRUE(TheWorld().LoadTestImage());
    ASSERT_TRUE(ReplaceFile(config_file(), ConfigText(), 0600, Durability::kProcessCrash));
    const auto loaded = TheWorld().LoadImage(TheWorld().paths().base + "/busybox", config_file());
    ASSERT_EQ(loaded.exit_code, 0) << loaded.output;
    daemon_ = std::make_unique<Daemon>(
        Daemon::Options{config_file(), TheWorld().paths().base + "/daemon.log", {}});
    StartDaemon();
  }
  void TearDown() override {
    if (!daemon_) return;
    pods_.clear();
    EXPECT_TRUE(WaitUntil([&] { return Addresses().empty(); })) << "lost";
    EXPECT_TRUE(WaitUntil([&] { return ListDirectory(run_ + "/netns")->empty(); }));
    cri_.reset();  // a daemon waits for its callers
    EXPECT_EQ(daemon_->Terminate(), 0);
    // What the plugins keep between pods.
    (void)RunProgram({"/usr/sbin/ip", "link", "delete", "cni-e2e"});
    for (const char* family : {"ip", "ip6"})
      for (const char* table : {"nat", "filter"})
        (void)RunProgram({"/usr/sbin/nft", "delete", "table", family, table});
    EXPECT_TRUE(RemoveTree(run_));
    EXPECT_TRUE(RemoveTree(base_));
  }

  std::string config_file() const { return base_ + "/catamaran.yaml"; }
  std::string ConfigText() const {
    return fmt::format(
        "root: {0}/root\nrun: {1}\ncgroup_driver: {6}\ncgroup_root: {2}\nnetwork: cni\n"
        "nri: {{socket: {1}/nri/nri.sock, plugin_dir: {0}/nri-plugins}}\n"
        "cni:\n  conf_dir: {0}/net.d\n  bin_dirs: [/usr/lib/cni, {3}]\n"
        "allow_emulation: true\nshim: {4}/catamaran-shim\ntemplates: {5}\n",
        base_, run_, cgroup_root_,
        std::filesystem::read_symlink("/proc/self/exe").parent_path().string(), ProgramFolder(),
        TemplateFolder(), TheWorld().paths().systemd ? "systemd" : "cgroupfs");
  }
  void StartDaemon() {
    auto started = daemon_->Start();
    ASSERT_TRUE(started) << started.error().message;
    if (!cri_)
      cri_ = std::make_unique<CriClient>("unix://" + run_ + "/catamaran.sock");
    else
      cri_->Reconnect();
  }
  CriClient& cri() { return *cri_; }

  json Bridge() const {
    return {{"type", "bridge"},
            {"bridge", "cni-e2e"},
            {"isGateway", true},
            {"ipMasq", true},
            {"hairpinMode", true},
            {"ipam",
             {{"type", "host-local"},
              {"dataDir", base_ + "/addresses"},
              {"ranges", {{{{"subnet", "10.23.0.0/24"}}}, {{{"subnet", "fd00:23::/64"}}}}},
              {"routes", {{{"dst", "0.0.0.0/0"}}, {{"dst", "::/0"}}}}}}};
  }
  json PortMap() const { return {{"type", "portmap"}, {"capabilities", {{"portMappings", true}}}}; }
  json Recorder() const { return {{"type", "recording_plugin"}, {"folder", base_ + "/recorder"}}; }
  void Plan(const std::string& command, const std::string& step) {
    std::ofstream(base_ + "/recorder/plan." + command) << step;
  }
  int CallsOf(const std::string& command) {
    const auto calls = ReadFile(base_ + "/recorder/calls");
    const std::string word = "\"command\":\"" + command + "\"";
    int count = 0;
    for (size_t at = 0; calls && (at = calls->find(word, at)) != std::string::npos; ++at) ++count;
    return count;
  }
  void Configure(const std::vector<json>& plugins) {
    const json list = {{"cniVersion", "1.0.0"}, {"name", "pods"}, {"plugins", plugins}};
    ASSERT_TRUE(ReplaceFile(base_ + "/net.d/10-pods.conflist", list.dump(), 0600,
                            Durability::kProcessCrash));
    EXPECT_TRUE(WaitUntil([&] { return NetworkReady().status(); })) << NetworkReady().message();
  }
  v1::RuntimeCondition NetworkReady() {
    auto status = cri().Status({});
    for (const auto& condition : status->status().conditions())
      if (condition.type() == "NetworkReady") return condition;
    return {};
  }
  PlainPod& NewPod(const std::string& handler, const std::string& name, int host_port = 0) {
    pods_.push_back(std::make_unique<PlainPod>(
        cri(), PlainPod::Options{handler,
                                 name,
                                 kImage,
                                 {"/bin/sh", "-c", "while :; do echo served | nc -l -p 8080; done"},
                                 base_ + "/logs",
                                 [host_port](v1::PodSandboxConfig* config) {
                                   if (host_port == 0) return;
                                   auto* mapping = config->add_port_mappings();
                                   mapping->set_container_port(8080);
                                   mapping->set_host_port(host_port);
                                 }}));
    return *pods_.back();
  }
  PlainPod& StartPod(const std::string& handler, const std::string& name, int host_port = 0) {
    PlainPod& pod = NewPod(handler, name, host_port);
    for (const auto& step : {&PlainPod::Run, &PlainPod::Create, &PlainPod::Start}) {
      const auto done = (pod.*step)();
      EXPECT_TRUE(done) << done.error().message;
    }
    return pod;
  }
  static v1::PodSandboxNetworkStatus NetworkOf(PlainPod& pod) {
    auto status = pod.VerboseStatus();
    EXPECT_TRUE(status) << status.error().message;
    return status ? status->status().network() : v1::PodSandboxNetworkStatus();
  }
  static ::testing::AssertionResult Succeeds(PlainPod& pod,
                                             const std::vector<std::string>& command) {
    std::string last;
    const bool done = WaitUntil([&] {
      const auto output = pod.Output(command);
      last = output ? *output : output.error().message;
      return output.has_value();
    });
    return (done ? ::testing::AssertionSuccess() : ::testing::AssertionFailure()) << last;
  }
  std::vector<std::string> Addresses() {
    auto names = ListDirectory(base_ + "/addresses/pods").value_or(std::vector<std::string>{});
    std::erase_if(names, [](const std::string& name) { return name[0] == 'l'; });  // lock, last_...
    return names;
  }

  std::string base_, run_, cgroup_root_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<CriClient> cri_;
  std::vector<std::unique_ptr<PlainPod>> pods_;
};

TEST_P(Cni, PodsReachEachOtherThroughTheBridgeAndAreReachedByTheHost) {
  Configure({Bridge(), PortMap()});
  PlainPod& server = StartPod(GetParam(), "server", 18081);
  PlainPod& other = StartPod("ns", "other");
  const auto boot = server.Output({"/bin/cat", "/proc/sys/kernel/random/boot_id"});
  ASSERT_TRUE(boot) << boot.error().message;
  EXPECT_EQ(*boot == ReadBootId().value() + "\n", GetParam() == "ns");
  const auto network = NetworkOf(server);
  EXPECT_EQ(network.ip(), "10.23.0.2");
  ASSERT_EQ(network.additional_ips_size(), 1);
  EXPECT_EQ(network.additional_ips(0).ip(), "fd00:23::2");

  EXPECT_TRUE(Succeeds(other, {"/bin/ping", "-c", "1", "-W", "5", "10.23.0.2"}));
  EXPECT_TRUE(Succeeds(other, {"/bin/ping", "-6", "-c", "1", "-W", "5", "fd00:23::2"}));
  EXPECT_TRUE(Succeeds(server, {"/bin/ping", "-c", "1", "-W", "5", NetworkOf(other).ip()}));
  EXPECT_TRUE(Succeeds(server, {"/bin/ping", "-c", "1", "-W", "5", "10.23.0.1"}));
  const std::string other_v6 = NetworkOf(other).additional_ips(0).ip();
  EXPECT_TRUE(Succeeds(server, {"/bin/ping", "-6", "-c", "1", "-W", "5", other_v6}));
  const auto serves = [](const std::string& ip, int port) -> std::vector<std::string> {
    return {"/bin/sh", "-c", fmt::format("nc -w 5 {} {} | grep served", ip, port)};
  };
  EXPECT_TRUE(Succeeds(other, serves("fd00:23::2", 8080)));
  EXPECT_TRUE(Succeeds(server, serves(other_v6, 8080)));
  EXPECT_TRUE(Succeeds(other, serves("fd00:23::1", 18081))) << "by the host's port";
  EXPECT_TRUE(Succeeds(server, serves("fd00:23::1", 18081))) << "by the host's port, itself";
  const auto routes = server.Output({"/bin/ip", "-6", "route"});
  ASSERT_TRUE(routes) << routes.error().message;
  EXPECT_NE(routes->find("default via fd00:23::1"), std::string::npos) << *routes;
  EXPECT_TRUE(Succeeds(other, {"/bin/sh", "-c", "nc -w 5 10.23.0.1 18081 | grep served"}))
      << "by the host's port";
  EXPECT_TRUE(WaitUntil([&] {
    return RunProgram({"/bin/busybox", "sh", "-c", "busybox nc -w 5 127.0.0.1 18081"}).output ==
           "served\n";
  })) << "by the host's port, from the host";
  // The guest has the pod's own card: same MAC, MTU and routes as in the host's namespace.
  const auto card = server.Output({"/bin/sh", "-c", "ip -o link show eth0; ip route"});
  ASSERT_TRUE(card) << card.error().message;
  EXPECT_NE(card->find("default via 10.23.0.1"), std::string::npos) << *card;
  const auto inside = RunProgram({"/usr/bin/nsenter", "--net=" + run_ + "/netns/" + server.id(),
                                  "/usr/sbin/ip", "-o", "link", "show", "eth0"});
  const size_t mac = inside.output.find("link/ether ");
  ASSERT_NE(mac, std::string::npos) << inside.output;
  EXPECT_NE(card->find(inside.output.substr(mac, sizeof "link/ether 00:00:00:00:00:00" - 1)),
            std::string::npos)
      << *card << inside.output;
}

TEST_P(Cni, TheBandwidthPluginKeepsAPodToItsRate) {
  constexpr uint64_t kBytes = 1'500'000;
  Configure({Bridge(), {{"type", "bandwidth"}, {"capabilities", {{"bandwidth", true}}}}});
  auto options = NewPod(GetParam(), "limited").options();
  options.command = {
      "/bin/sh", "-c",
      fmt::format("exec nc -ll -p 8080 -e /bin/dd if=/dev/zero bs=1000 count={}", kBytes / 1000)};
  options.adjust = [](v1::PodSandboxConfig* config) {
    (*config->mutable_annotations())["kubernetes.io/egress-bandwidth"] = "8M";
  };
  pods_.push_back(std::make_unique<PlainPod>(cri(), options));
  PlainPod& pod = *pods_.back();
  for (const auto& step : {&PlainPod::Run, &PlainPod::Create, &PlainPod::Start})
    ASSERT_TRUE((pod.*step)());
  Result<Seconds> took = Fail(ErrorCode::kUnavailable, "not tried");
  EXPECT_TRUE(WaitUntil([&] {
    took = TimeDownload(NetworkOf(pod).ip(), 8080, kBytes);
    return took.has_value();
  })) << took.error().message;
  // A megabyte a second; less a burst's bytes, and a tenth for clocks that differ.
  EXPECT_GT(took.value_or(Seconds{0}).count(), (kBytes - 131'072) / 1e6 * 0.9);
}

TEST_P(Cni, APodKeepsItsNetworkOverTheDaemonsRestart) {
  Configure({Bridge(), PortMap()});
  PlainPod& pod = StartPod(GetParam(), "kept");
  const std::string ip = NetworkOf(pod).ip();
  daemon_->Kill();
  StartDaemon();
  EXPECT_TRUE(WaitUntil([&] { return NetworkOf(pod).ip() == ip; }));
  EXPECT_TRUE(Succeeds(pod, {"/bin/ping", "-c", "1", "-W", "5", "10.23.0.1"}));
}

class CniOnNs : public Cni {};

TEST_P(CniOnNs, APodWithUsersOfItsOwnIsOnTheBridge) {
  Configure({Bridge(), PortMap()});
  PlainPod& other = StartPod("ns", "other");
  pods_.push_back(std::make_unique<PlainPod>(
      cri(), PlainPod::Options{GetParam(),
                               "mapped",
                               kImage,
                               {"/bin/sleep", "1000"},
                               base_ + "/logs",
                               [](v1::PodSandboxConfig* config) {
                                 auto* users = config->mutable_linux()
                                                   ->mutable_security_context()
                                                   ->mutable_namespace_options()
                                                   ->mutable_userns_options();
                                 users->set_mode(v1::POD);
                                 for (auto* range : {users->add_uids(), users->add_gids()}) {
                                   range->set_host_id(1'000'000);
                                   range->set_length(65536);
                                 }
                               }}));
  PlainPod& pod = *pods_.back();
  for (const auto& step : {&PlainPod::Run, &PlainPod::Create, &PlainPod::Start}) {
    const auto done = (pod.*step)();
    ASSERT_TRUE(done) << done.error().message;
  }
  EXPECT_TRUE(Succeeds(pod, {"/bin/grep", "-q", "1000000", "/proc/self/uid_map"}));
  EXPECT_TRUE(Succeeds(pod, {"/bin/ping", "-c", "1", "-W", "5", NetworkOf(other).ip()}));
  EXPECT_TRUE(Succeeds(other, {"/bin/ping", "-c", "1", "-W", "5", NetworkOf(pod).ip()}));
}

TEST_P(CniOnNs, ReadinessFollowsTheConfiguration) {
  EXPECT_FALSE(NetworkReady().status());
  EXPECT_EQ(NetworkReady().reason(), "NetworkPluginNotReady");
  EXPECT_NE(NetworkReady().message().find("install a network add-on"), std::string::npos);
  auto refused = NewPod("ns", "early").Run();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("NetworkPluginNotReady"), std::string::npos);
  Configure({Bridge()});
  StartPod("ns", "later");
  ASSERT_TRUE(RemoveIfExists(base_ + "/net.d/10-pods.conflist"));
  EXPECT_TRUE(WaitUntil([&] { return !NetworkReady().status(); }));
}

TEST_P(CniOnNs, APluginsErrorIsShownInFull) {
  Configure({Bridge(), Recorder()});
  Plan("ADD", "error 107 the fabric is full");
  const auto refused = NewPod("ns", "pod").Run();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("CNI plugin recording_plugin (ADD): code 107: the fabric "
                                         "is full: as the plan says"),
            std::string::npos)
      << refused.error().message;
  EXPECT_EQ(Addresses(), std::vector<std::string>{});
}

// The address comes back although DEL fails again and again: the daemon goes on by itself.
TEST_P(CniOnNs, AFailedStartGivesItsAddressBackInTheEnd) {
  Configure({Bridge(), Recorder()});
  Plan("ADD", "error 100 no");
  Plan("DEL", "error 100 one\nerror 100 two\nerror 100 three\n");
  EXPECT_FALSE(NewPod("ns", "pod").Run());
  EXPECT_TRUE(WaitUntil([&] { return Addresses().empty(); }));
  EXPECT_EQ(CallsOf("DEL"), 4);
}

TEST_P(CniOnNs, AHangingPluginHoldsUpItsPodOnly) {
  Configure({Bridge(), Recorder()});
  Plan("ADD", "wait " + base_ + "/go");
  std::thread slow([&] {
    CriClient own("unix://" + run_ + "/catamaran.sock");
    PlainPod pod(own, {"ns", "slow", kImage, {"/bin/true"}, base_ + "/logs", {}});
    const auto done = pod.Run();
    EXPECT_TRUE(done) << done.error().message;
  });
  EXPECT_TRUE(WaitUntil([&] { return CallsOf("ADD") == 1; }));
  PlainPod& quick = StartPod("ns", "quick");
  EXPECT_TRUE(quick.StopAndRemove());
  std::ofstream(base_ + "/go") << "x";
  slow.join();
}

TEST_P(CniOnNs, ADaemonThatDiesWhilePluginsWorkLosesNothing) {
  Configure({Bridge(), Recorder()});
  for (const std::string command : {"ADD", "DEL"}) {
    SCOPED_TRACE(command);
    Plan(command, "wait " + base_ + "/go");
    const int before = CallsOf(command);
    std::thread caller([&] {
      CriClient own("unix://" + run_ + "/catamaran.sock");
      PlainPod pod(own, {"ns", "pod-" + command, kImage, {"/bin/true"}, base_ + "/logs", {}});
      if (pod.Run()) (void)pod.StopAndRemove();
    });
    EXPECT_TRUE(WaitUntil([&] { return CallsOf(command) == before + 1; }));
    daemon_->Kill();
    caller.join();
    // The plugin goes on by itself, until it has done its work.
    std::thread goes([&] {
      usleep(200'000);
      std::ofstream(base_ + "/go") << "x";
    });
    StartDaemon();
    goes.join();
    ASSERT_TRUE(RemoveIfExists(base_ + "/go"));
    auto pods = cri().ListPodSandbox({});
    ASSERT_TRUE(pods.ok()) << pods.message();
    for (const auto& item : pods->items()) {
      v1::RemovePodSandboxRequest remove;
      remove.set_pod_sandbox_id(item.id());
      auto removed = cri().RemovePodSandbox(remove);
      EXPECT_TRUE(removed.ok()) << removed.message();
    }
    EXPECT_TRUE(WaitUntil([&] { return Addresses().empty(); }));
  }
}

CATAMARAN_ON_EVERY_HANDLER(Cni);
INSTANTIATE_TEST_SUITE_P(On, CniOnNs, ::testing::Values("ns"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace catamaran::e2e

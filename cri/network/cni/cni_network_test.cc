// The network with Debian's plugins on the running kernel, in a "machine" of its own: mount and
// network namespaces, where every test starts anew. A recording plugin at the end of the chain
// fails where a test wants it.
#include "cri/network/cni/cni_network.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <fstream>
#include <random>
#include <thread>

#include "cri/network/cni/testing/recorder.h"
#include "cri/network/testing/kill_steps.h"
#include "cri/network/testing/sockets.h"
#include "sandbox/kernel/netlink.h"

namespace catamaran {
namespace {

using nlohmann::json;
using std::chrono::seconds;

Deadline Soon() { return Deadline::After(seconds(120)); }

class CniNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Exists("/usr/lib/cni/bridge"))
      GTEST_FAIL() << "the package containernetworking-plugins is not installed";
    // The main thread's, for good: each test has a new pair.
    ASSERT_EQ(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    base_ = std::filesystem::path(testing::TempDir()) / ("cni_test_" + std::to_string(getpid()));
    ASSERT_TRUE(MakeDirectories(base_));
    ASSERT_EQ(mount("none", base_.c_str(), "tmpfs", 0, "mode=700"), 0);
    auto netlink = Netlink::Open().value();
    ASSERT_TRUE(BringUpLoopback(netlink));
    options_.root = HostPath(base_ / "root");
    options_.run = HostPath(base_ / "run");
    options_.conf_dir = HostPath(base_ / "net.d");
    options_.bin_dirs = {HostPath("/usr/lib/cni"), Recorder::ProgramFolder()};
    options_.retry_interval = std::chrono::milliseconds(100);
    options_.notice = [this](const std::string& text) {
      const std::lock_guard lock(notices_mutex_);
      notices_ += text + "\n";
    };
    recorder_.emplace(base_ / "recorder");
  }
  void TearDown() override {
    EXPECT_EQ(umount2(base_.c_str(), MNT_DETACH), 0);
    EXPECT_EQ(rmdir(base_.c_str()), 0);
  }

  json Bridge(const std::string& subnet = "10.22.0.0/24") {
    return {{"type", "bridge"},
            {"bridge", "cni0"},
            {"isGateway", true},
            {"ipam",
             {{"type", "host-local"},
              {"dataDir", (base_ / "addresses").string()},
              {"ranges", {{{{"subnet", subnet}}}, {{{"subnet", "fd00:22::/64"}}}}},
              {"routes", {{{"dst", "0.0.0.0/0"}}, {{"dst", "::/0"}}}}}}};
  }
  // A recorder that is the whole network: it makes the interface itself.
  json RecorderAlone() {
    return recorder_->Config({{"link", true},
                              {"result",
                               {{"interfaces", {{{"name", "eth0"}, {"sandbox", "/n"}}}},
                                {"ips", {{{"address", "10.9.0.2/24"}, {"interface", 0}}}}}}});
  }
  void Configure(const std::vector<json>& plugins, const std::string& version = "1.0.0") {
    const json list = {{"cniVersion", version}, {"name", "pods"}, {"plugins", plugins}};
    ASSERT_TRUE(MakeDirectories(options_.conf_dir.value()));
    ASSERT_TRUE(ReplaceFile(options_.conf_dir.value() / "10-pods.conflist", list.dump(), 0600,
                            Durability::kProcessCrash));
  }
  std::unique_ptr<PodNetwork> Make() {
    auto made = MakeCniNetwork(options_);
    EXPECT_TRUE(made) << made.error().message;
    return made ? std::move(*made) : nullptr;
  }
  // After recovery, as the daemon has it.
  std::unique_ptr<PodNetwork> MakeRecovered() {
    auto network = Make();
    EXPECT_TRUE(network->DetachExcept({}, Soon()));
    return network;
  }
  static PodNetworkRequest Request(const std::string& pod, std::vector<PortMapping> ports = {}) {
    PodNetworkRequest request;
    request.pod = PodId(pod);
    request.pod_name = pod;
    request.pod_namespace = "default";
    request.pod_uid = "uid";
    request.ports = std::move(ports);
    return request;
  }
  static PodNetworkResult Attach(PodNetwork& network, const PodNetworkRequest& request) {
    auto result = network.Attach(request, Soon());
    EXPECT_TRUE(result) << result.error().message;
    return result.value_or(PodNetworkResult{});
  }
  template <typename Work>
  static auto In(const PodNetworkResult& pod, Work work) {
    decltype(work()) result{};
    const auto netns = OpenFile(pod.netns.value(), O_RDONLY).value();
    const auto status = RunInNetworkNamespace(netns.get(), [&]() -> Status {
      result = work();
      return {};
    });
    EXPECT_TRUE(status) << status.error().message;
    return result;
  }
  static UniqueFd ListenIn(const PodNetworkResult& pod, const std::string& address, uint16_t port) {
    auto listener = In(pod, [&]() -> std::shared_ptr<UniqueFd> {
      auto made = Listen(address, port);
      EXPECT_TRUE(made) << made.error().message;
      return std::make_shared<UniqueFd>(made ? std::move(*made) : UniqueFd());
    });
    return std::move(*listener);
  }
  // What host-local holds.
  std::vector<std::string> Addresses() {
    auto names = ListDirectory(base_ / "addresses/pods").value_or(std::vector<std::string>{});
    std::erase_if(names, [](const std::string& name) { return name[0] == 'l'; });  // lock, last_...
    return names;
  }
  // Everything a pod may leave; "" where there is nothing.
  std::string Remains() {
    std::string text;
    for (const auto& address : Addresses()) text += "address " + address + "\n";
    auto netlink = Netlink::Open().value();
    const auto links = netlink.ListLinks().value();
    for (const auto& link : links)
      if (link.kind == "veth") text += "link " + link.name + "\n";
    for (const auto& folder :
         {options_.run / "netns", options_.run / "cni", options_.root / "network/cni"})
      for (const auto& name : ListDirectory(folder.value()).value_or(std::vector<std::string>{}))
        text += folder.string() + "/" + name + "\n";
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);)
      if (line.find(base_.string() + "/") != std::string::npos) text += line + "\n";
    FILE* rules = popen("iptables -t nat -S 2>/dev/null; iptables -S 2>/dev/null", "re");
    char buffer[1024];
    while (fgets(buffer, sizeof buffer, rules) != nullptr)
      if (std::string_view(buffer).find("10.22.0.") != std::string_view::npos) text += buffer;
    pclose(rules);
    return text;
  }
  std::string notices() {
    const std::lock_guard lock(notices_mutex_);
    return notices_;
  }

  std::filesystem::path base_;
  CniNetworkOptions options_;
  std::optional<Recorder> recorder_;
  int step_ = 1;  // at which the next child is killed

 private:
  std::mutex notices_mutex_;
  std::string notices_;
};

TEST_F(CniNetworkTest, PodsOfDebiansPluginsReachEachOtherAndLeaveNothing) {
  auto bridge = Bridge();
  bridge["ipMasq"] = true;
  bridge["hairpinMode"] = true;
  Configure({bridge,
             {{"type", "portmap"}, {"capabilities", {{"portMappings", true}}}},
             {{"type", "firewall"}},
             {{"type", "bandwidth"}, {"capabilities", {{"bandwidth", true}}}}});
  const auto network = MakeRecovered();
  EXPECT_TRUE(network->ready().ready) << network->ready().message;
  auto request = Request("one", {{PortMapping::Protocol::kTcp, 80, 8080, ""}});
  request.annotations["kubernetes.io/egress-bandwidth"] = "1G";
  const auto one = Attach(*network, request);
  const auto two = Attach(*network, Request("two"));
  EXPECT_EQ(one.ips(), (std::vector<std::string>{"10.22.0.2", "fd00:22::2"}));
  EXPECT_EQ(two.ips(), (std::vector<std::string>{"10.22.0.3", "fd00:22::3"}));

  ASSERT_EQ(one.interfaces.size(), 1u);
  const auto& interface = one.interfaces[0];
  EXPECT_EQ(interface.name(), "eth0");
  EXPECT_EQ(interface.mtu(), 1500u);
  EXPECT_EQ(interface.addresses(0), "10.22.0.2/24");
  const auto in_kernel = In(one, [] { return Netlink::Open().value().FindLink("eth0").value(); });
  EXPECT_EQ(interface.mac(), in_kernel.mac);
  std::string routes;
  for (const auto& route : interface.routes())
    routes += route.destination() + " via " + route.gateway() + "\n";
  EXPECT_EQ(routes,
            "10.22.0.0/24 via \nfd00:22::/64 via \n0.0.0.0/0 via 10.22.0.1\n::/0 via fd00:22::1\n");
  EXPECT_TRUE(In(one, [] { return Netlink::Open().value().FindLink("lo").value(); }).up);

  const auto listener = ListenIn(one, "0.0.0.0", 80);
  EXPECT_NE(Reach(listener, "10.22.0.2", 80), "") << "from the machine";
  EXPECT_EQ(In(two, [&] { return Reach(listener, "10.22.0.2", 80); }), "10.22.0.3");
  EXPECT_NE(Reach(listener, "127.0.0.1", 8080), "") << "by the host port";
  EXPECT_NE(In(two, [&] { return Reach(listener, "10.22.0.1", 8080); }), "");
  const auto v6 = ListenIn(two, "fd00:22::3", 81);
  EXPECT_NE(In(one, [&] { return Reach(v6, "fd00:22::3", 81); }), "");

  EXPECT_EQ(network->Attach(Request("one"), Soon()).error().code, ErrorCode::kAlreadyExists);
  for (int repetition = 0; repetition < 2; ++repetition)
    for (const char* pod : {"one", "two", "never-attached"})
      EXPECT_TRUE(network->Detach(PodId(pod), Soon()));
  EXPECT_EQ(Remains(), "");
}

TEST_F(CniNetworkTest, TellsPluginsOfThePod) {
  auto recorder = recorder_->Config({{"capabilities",
                                      {{"portMappings", true},
                                       {"bandwidth", true},
                                       {"dns", true},
                                       {"ipRanges", true},
                                       {"cgroupPath", true}}}});
  Configure({Bridge(), recorder});
  const auto network = MakeRecovered();
  ASSERT_TRUE(network->SetPodCidr("10.22.0.0/24,fd00:22::/64"));
  EXPECT_EQ(network->SetPodCidr("10.22.0.0/24,").error().code, ErrorCode::kInvalidArgument);
  auto request = Request("pod", {{PortMapping::Protocol::kUdp, 53, 5353, "127.0.0.1"}});
  request.annotations["kubernetes.io/ingress-bandwidth"] = "1M";
  request.dns = PodNetworkRequest::Dns{{"10.96.0.10"}, {}, {}};
  request.cgroup_parent = "/kubepods/pod1";
  Attach(*network, request);
  const json call = recorder_->Calls().at(0);
  EXPECT_EQ(call["container"], "pod");
  EXPECT_EQ(call["netns"], (options_.run / "netns/pod").string());
  EXPECT_EQ(call["args"],
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod;"
            "K8S_POD_INFRA_CONTAINER_ID=pod;K8S_POD_UID=uid");
  const json& config = call["config"];
  EXPECT_EQ(config["prevResult"]["ips"][0]["address"], "10.22.0.2/24");
  const json& given = config["runtimeConfig"];
  EXPECT_EQ(given["portMappings"][0]["hostIP"], "127.0.0.1");
  EXPECT_EQ(given["bandwidth"]["ingressRate"], 1'000'000);
  EXPECT_EQ(given["ipRanges"][1][0]["subnet"], "fd00:22::/64");
  EXPECT_EQ(given["cgroupPath"], "/kubepods/pod1");
  ASSERT_TRUE(network->Detach(PodId("pod"), Soon()));
  const json deletion = recorder_->Calls().at(1);
  EXPECT_EQ(deletion["config"]["runtimeConfig"], given) << "DEL gets what ADD got";
  EXPECT_EQ(deletion["config"]["prevResult"]["ips"][0]["address"], "10.22.0.2/24");
}

TEST_F(CniNetworkTest, RefusesWhatPluginsWouldMisread) {
  Configure({Bridge()});
  const auto network = MakeRecovered();
  for (const char* name : {"a;IgnoreUnknown=0", "a=b", "a\nb"}) {
    auto request = Request("pod");
    request.pod_name = name;
    EXPECT_EQ(network->Attach(request, Soon()).error().code, ErrorCode::kInvalidArgument) << name;
  }
  auto request = Request("pod");
  request.annotations["kubernetes.io/ingress-bandwidth"] = "fast";
  EXPECT_EQ(network->Attach(request, Soon()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(network->Attach(Request("../x"), Soon()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Remains(), "");
}

TEST_F(CniNetworkTest, SaysWhatToDoWhereThereIsNoNetwork) {
  const auto network = MakeRecovered();
  const auto refused = network->Attach(Request("pod"), Soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message.find("NetworkPluginNotReady: no CNI configuration"),
            std::string::npos)
      << refused.error().message;
  Configure({Bridge()});
  ASSERT_TRUE(Eventually([&] { return network->ready().ready; }));
  Attach(*network, Request("pod"));
  ASSERT_TRUE(RemoveTree(options_.conf_dir.value()));
  ASSERT_TRUE(Eventually([&] { return !network->ready().ready; }));
  EXPECT_TRUE(network->Detach(PodId("pod"), Soon())) << "by the configuration it was attached with";
  EXPECT_EQ(Remains(), "");
}

TEST_F(CniNetworkTest, GivesBackWhatAFailedAddGot) {
  Configure({Bridge(), recorder_->Config()});
  const auto network = MakeRecovered();
  for (const char* step : {"error 107 out of luck", "garbage", "die", "stop"}) {
    recorder_->Plan("ADD", step);
    const auto failed = network->Attach(Request("pod"), Soon());
    ASSERT_FALSE(failed) << step;
    if (step[0] == 'e') {
      EXPECT_EQ(failed.error().message,
                "network pods: CNI plugin recording_plugin (ADD): code 107: out of luck: as the "
                "plan says");
    }
    EXPECT_EQ(Remains(), "") << step;
  }
}

TEST_F(CniNetworkTest, ReleasesTheAddressInTheEndWhereDelFailsThreeTimes) {
  Configure({Bridge(), recorder_->Config()});
  const auto network = MakeRecovered();
  recorder_->Plan("ADD", "error 100 no");
  recorder_->Plan("DEL", "error 100 one\nerror 100 two\nerror 100 three\n");
  EXPECT_FALSE(network->Attach(Request("pod"), Soon()));
  EXPECT_EQ(Addresses().size(), 2u) << "both families";
  EXPECT_FALSE(network->Detach(PodId("pod"), Soon()));
  EXPECT_FALSE(network->Detach(PodId("pod"), Soon()));
  EXPECT_EQ(network->Attach(Request("pod"), Soon()).error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(network->Detach(PodId("pod"), Soon()));
  EXPECT_EQ(Remains(), "");
}

TEST_F(CniNetworkTest, ASlowPluginHoldsUpItsPodOnly) {
  Configure({Bridge(), recorder_->Config()});
  const auto network = MakeRecovered();
  recorder_->Plan("ADD", "wait " + (base_ / "go").string());
  std::thread slow([&] { Attach(*network, Request("slow")); });
  ASSERT_TRUE(Eventually([&] { return recorder_->Commands() == "ADD "; }));
  Attach(*network, Request("quick"));
  EXPECT_TRUE(network->Detach(PodId("quick"), Soon()));
  std::ofstream(base_ / "go") << "x";
  slow.join();
  EXPECT_TRUE(network->Detach(PodId("slow"), Soon()));
  EXPECT_EQ(Remains(), "");
}

TEST_F(CniNetworkTest, GivesBackWhatWasGotBeforeAPluginHung) {
  Configure({Bridge(), recorder_->Config()});
  const auto network = MakeRecovered();
  recorder_->Plan("ADD", "hang");
  const auto hung = network->Attach(Request("pod"), Deadline::After(seconds(2)));
  EXPECT_EQ(hung.error().code, ErrorCode::kDeadlineExceeded) << hung.error().message;
  EXPECT_EQ(Remains(), "");
}

TEST_F(CniNetworkTest, KeepsPodsOverARestartAndChecksThem) {
  Configure({Bridge(), recorder_->Config()});
  {
    const auto network = MakeRecovered();
    Attach(*network, Request("kept"));
    Attach(*network, Request("gone"));
  }
  recorder_->Plan("CHECK", "error 100 somebody took its route");
  const auto network = Make();
  ASSERT_TRUE(network->DetachExcept({PodId("kept")}, Soon()));
  EXPECT_EQ(Addresses().size(), 2u);
  EXPECT_EQ(ListDirectory((options_.run / "netns").value()).value(),
            std::vector<std::string>{"kept"});
  EXPECT_TRUE(Eventually([&] {
    return notices().find("somebody took its route") != std::string::npos;
  })) << notices();
  EXPECT_EQ(recorder_->Calls().back()["command"], "CHECK");
  EXPECT_TRUE(network->Detach(PodId("kept"), Soon()));
  EXPECT_EQ(Remains(), "");
}

// The namespaces and the pins are gone, the plugins' stores are not.
TEST_F(CniNetworkTest, DeletesWhatAnotherBootLeftBeforeTheFirstAdd) {
  Configure({Bridge("10.22.0.0/30"), recorder_->Config()});  // one address
  {
    const auto network = MakeRecovered();
    const auto pod = Attach(*network, Request("old"));
    ASSERT_EQ(umount2(pod.netns.c_str(), MNT_DETACH), 0);
    ASSERT_TRUE(RemoveTree(options_.run.value()));
    const auto store = AttachmentStore::Open(options_.root / "network/cni").value();
    auto attachment = store.Load().value().at(0);
    EXPECT_EQ(attachment.boot_id(), ReadBootId().value());
    attachment.set_boot_id("another");
    ASSERT_TRUE(store.Save(attachment));
  }
  const auto network = MakeRecovered();
  EXPECT_EQ(recorder_->Commands(), "ADD DEL ");
  EXPECT_EQ(recorder_->Calls().back()["netns"], "");
  EXPECT_EQ(Attach(*network, Request("new")).ips().at(0), "10.22.0.2");
}

TEST_F(CniNetworkTest, TriesLeftoversAgainInTheBackground) {
  Configure({Bridge(), recorder_->Config()});
  { Attach(*MakeRecovered(), Request("pod")); }
  recorder_->Plan("DEL", "error 100 one\nerror 100 two\nerror 100 three\n");
  const auto network = Make();
  EXPECT_FALSE(network->DetachExcept({}, Soon()));
  EXPECT_TRUE(Eventually([&] { return Addresses().empty(); }));
  EXPECT_TRUE(Eventually([&] { return Remains().empty(); })) << Remains();
}

TEST_F(CniNetworkTest, GivesBackADamagedRecordsAddress) {
  Configure({Bridge(), recorder_->Config()});
  { Attach(*MakeRecovered(), Request("pod")); }
  for (const std::string& content : {std::string("\xff\xff"), std::string()}) {
    ASSERT_TRUE(ReplaceFile((options_.root / "network/cni/pod.record").value(), content, 0600,
                            Durability::kProcessCrash));
    const auto network = MakeRecovered();
    EXPECT_EQ(Remains(), "");
    Attach(*network, Request("pod"));
  }
}

TEST_F(CniNetworkTest, TellsTheNewestPluginsAtStartWhatIsInUse) {
  Configure({RecorderAlone()}, "1.1.0");
  {
    const auto network = MakeRecovered();
    Attach(*network, Request("kept"));
    Attach(*network, Request("gone"));
  }
  recorder_->Forget();
  const auto network = Make();
  ASSERT_TRUE(network->DetachExcept({PodId("kept")}, Soon()));
  json collected;
  ASSERT_TRUE(Eventually([&] {
    for (const auto& call : recorder_->Calls())
      if (call["command"] == "GC") collected = call;
    return !collected.is_null();
  }));
  EXPECT_EQ(collected["config"]["cni.dev/valid-attachments"],
            json::parse(R"([{"containerID": "kept", "ifname": "eth0"}])"));
  EXPECT_TRUE(Eventually([&] { return network->ready().ready; })) << network->ready().message;
  recorder_->Forget();
  Configure({RecorderAlone(), recorder_->Config()}, "1.1.0");
  EXPECT_TRUE(Eventually([&] { return recorder_->Commands().find("GC GC") != std::string::npos; }))
      << "a network that changed is told anew: " << recorder_->Commands();
}

TEST_F(CniNetworkTest, CollectsGarbageOnlyWhileNothingElseIsDone) {
  Configure({RecorderAlone()}, "1.1.0");
  recorder_->Plan("GC", "wait " + (base_ / "go").string());
  const auto network = MakeRecovered();
  ASSERT_TRUE(Eventually([&] { return recorder_->Commands().find("GC") != std::string::npos; }));
  const auto refused = network->Attach(Request("early"), Deadline::After(seconds(1)));
  EXPECT_EQ(refused.error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(recorder_->Commands().find("ADD"), std::string::npos);
  std::thread waits([&] { Attach(*network, Request("pod")); });
  std::ofstream(base_ / "go") << "x";
  waits.join();
}

TEST_F(CniNetworkTest, ManyPodsAttachAtOnce) {
  Configure({Bridge()});
  const auto network = MakeRecovered();
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::set<std::string> addresses;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      const auto pod = Attach(*network, Request("pod" + std::to_string(i)));
      const std::lock_guard lock(mutex);
      addresses.insert(pod.ips().at(0));
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(addresses.size(), 8u);
  EXPECT_TRUE(network->DetachExcept({}, Soon()));
  EXPECT_EQ(Remains(), "");
}

// Five addresses for four workers: one that is lost is soon missed.
TEST_F(CniNetworkTest, LosesNoAddressOverFiveHundredCyclesWithFailures) {
  Configure({Bridge("10.22.0.0/29"), recorder_->Config()});
  const auto network = MakeRecovered();
  std::atomic<int> next = 0, failed_adds = 0, failed_deletes = 0;
  const auto work = [&](int worker) {
    std::mt19937 random(worker);
    const std::vector<std::string> ways = {"error 100 no", "garbage", "silent", "die"};
    for (int cycle = next++; cycle < 500; cycle = next++) {
      const PodId pod("pod" + std::to_string(cycle));
      // Shared by the workers, so it meets whoever comes next.
      if (random() % 3 == 0) recorder_->Plan(random() % 2 ? "ADD" : "DEL", ways[random() % 4]);
      const auto attached = network->Attach(Request(pod.value()), Soon());
      if (!attached) {
        ++failed_adds;
        EXPECT_NE(attached.error().message.find("recording_plugin"), std::string::npos)
            << attached.error().message;
      }
      while (!network->Detach(pod, Soon())) ++failed_deletes;
    }
  };
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 4; ++worker) workers.emplace_back(work, worker);
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(Remains(), "");
  EXPECT_GT(failed_adds, 20);
  EXPECT_GT(failed_deletes, 5);
}

TEST_F(CniNetworkTest, ConvergesAfterAKillAtAnyStepOfAttach) {
  Configure({Bridge("10.22.0.0/30"), recorder_->Config()});
  const int steps = CountStepsKilling(
      [&] {
        const auto network = MakeCniNetwork(options_);
        (void)(*network)->Attach(Request("pod"), Soon());
      },
      [&](int step) {
        const auto network = MakeRecovered();
        EXPECT_EQ(Remains(), "") << "killed at step " << step;
        Attach(*network, Request("next"));  // the only address is free again
        EXPECT_TRUE(network->Detach(PodId("next"), Soon()));
        EXPECT_EQ(Remains(), "") << "killed at step " << step;
      });
  EXPECT_GT(steps, 10);
}

TEST_F(CniNetworkTest, ConvergesAfterAKillAtAnyStepOfDetach) {
  Configure({Bridge("10.22.0.0/30"), recorder_->Config()});
  const int steps = CountStepsKilling(
      [&] {
        ArmAbortStep(0);
        const auto network = MakeCniNetwork(options_);
        if (!(*network)->Attach(Request("pod"), Soon())) _exit(1);
        ArmAbortStep(step_);
        (void)(*network)->Detach(PodId("pod"), Soon());
      },
      [&](int step) {
        step_ = step + 1;
        const auto network = Make();
        EXPECT_TRUE(network->Detach(PodId("pod"), Soon()));
        EXPECT_TRUE(network->DetachExcept({}, Soon()));
        EXPECT_EQ(Remains(), "") << "killed at step " << step;
      });
  EXPECT_GT(steps, 6);
}

}  // namespace
}  // namespace catamaran

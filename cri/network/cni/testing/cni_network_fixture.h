#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <fstream>
#include <memory>
#include <mutex>
#include <optional>

#include "cri/network/cni/cni_network.h"
#include "cri/network/cni/testing/recorder.h"
#include "cri/network/testing/sockets.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"

namespace catamaran {

// The network with Debian's plugins on the running kernel, in a "machine" of its own: mount and
// network namespaces, where every test starts anew. A recording plugin at the end of the chain
// fails where a test wants it.
class CniNetworkTest : public testing::Test {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(120)); }

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

  nlohmann::json Bridge(const std::string& subnet = "10.22.0.0/24") {
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
  nlohmann::json RecorderAlone() {
    return recorder_->Config({{"link", true},
                              {"result",
                               {{"interfaces", {{{"name", "eth0"}, {"sandbox", "/n"}}}},
                                {"ips", {{{"address", "10.9.0.2/24"}, {"interface", 0}}}}}}});
  }
  void Configure(const std::vector<nlohmann::json>& plugins, const std::string& version = "1.0.0") {
    const nlohmann::json list = {{"cniVersion", version}, {"name", "pods"}, {"plugins", plugins}};
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

}  // namespace catamaran

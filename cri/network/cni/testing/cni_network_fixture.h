#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <optional>

#include "cri/network/cni/cni_network.h"
#include "cri/network/cni/testing/recorder.h"
#include "cri/network/testing/network_machine.h"

namespace catamaran {

// The network with Debian's plugins. A recording plugin at the end of the chain fails where a test
// wants it.
class CniNetworkTest : public NetworkMachine {
 protected:
  void SetUp() override {
    if (!Exists("/usr/lib/cni/bridge"))
      GTEST_FAIL() << "the package containernetworking-plugins is not installed";
    NetworkMachine::SetUp();
    options_.root = HostPath(base_ / "root");
    options_.run = HostPath(base_ / "run");
    options_.conf_dir = HostPath(base_ / "net.d");
    options_.bin_dirs = {HostPath("/usr/lib/cni"), Recorder::ProgramFolder()};
    options_.retry_interval = std::chrono::milliseconds(100);
    options_.notice = [this](const About& about, const std::string& text) {
      const std::lock_guard lock(notices_mutex_);
      notices_ += about.pod + " " + text + "\n";
    };
    recorder_.emplace(base_ / "recorder");
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
      if (link.kind == "veth" || link.kind == "ifb") text += "link " + link.name + "\n";
    return text +
           FilesIn({options_.run / "netns", options_.run / "cni", options_.root / "network/cni"}) +
           Mounts() +
           OutputOf("iptables -t nat -S 2>/dev/null; iptables -S 2>/dev/null", "10.22.0.");
  }
  std::string notices() {
    const std::lock_guard lock(notices_mutex_);
    return notices_;
  }

  CniNetworkOptions options_;
  std::optional<Recorder> recorder_;

 private:
  std::mutex notices_mutex_;
  std::string notices_;
};

}  // namespace catamaran

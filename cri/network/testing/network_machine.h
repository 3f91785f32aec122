#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cri/network/pod_network.h"
#include "cri/network/testing/sockets.h"
#include "cri/network/testing/transfer.h"
#include "sandbox/base/files.h"
#include "sandbox/base/testing/kill_steps.h"
#include "sandbox/kernel/netlink.h"

namespace catamaran {

// A pod network on the running kernel, in a "machine" of its own: mount and network namespaces,
// where every test starts anew, with an empty folder `base_` on a tmpfs.
class NetworkMachine : public testing::Test {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(120)); }

  void SetUp() override {
    // The main thread's, for good: each test has a new pair.
    ASSERT_EQ(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    base_ = std::filesystem::path(testing::TempDir()) / ("machine_" + std::to_string(getpid()));
    ASSERT_TRUE(MakeDirectories(base_));
    ASSERT_EQ(mount("none", base_.c_str(), "tmpfs", 0, "mode=700"), 0);
    auto netlink = Netlink::Open().value();
    ASSERT_TRUE(BringUpLoopback(netlink));
  }
  void TearDown() override {
    EXPECT_EQ(umount2(base_.c_str(), MNT_DETACH), 0);
    EXPECT_EQ(rmdir(base_.c_str()), 0);
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

  static UniqueFd Open(const PodNetworkResult& pod) {
    return OpenFile(pod.netns.value(), O_RDONLY).value();
  }
  // What `work` returns, done in the namespace.
  template <typename Work>
  static auto In(int namespace_fd, Work work) {
    decltype(work()) result{};
    const auto status = RunInNetworkNamespace(namespace_fd, [&]() -> Status {
      result = work();
      return {};
    });
    EXPECT_TRUE(status) << status.error().message;
    return result;
  }
  template <typename Work>
  static auto In(const PodNetworkResult& pod, Work work) {
    return In(Open(pod).get(), work);
  }
  static UniqueFd ListenIn(const PodNetworkResult& pod, const std::string& address, uint16_t port) {
    auto listener = In(pod, [&]() -> std::shared_ptr<UniqueFd> {
      auto made = Listen(address, port);
      EXPECT_TRUE(made) << made.error().message;
      return std::make_shared<UniqueFd>(made ? std::move(*made) : UniqueFd());
    });
    return std::move(*listener);
  }

  // The quickest of some tries: what else the machine does counts less. nullptr: the machine, which
  // has this address.
  static Seconds Transfer(const PodNetworkResult* from, const PodNetworkResult* to, int tries = 1,
                          const std::string& machine = "") {
    const std::string address = to == nullptr ? machine : to->ips().at(0);
    Seconds best{1e9};
    for (int i = 0; i < tries; ++i) {
      const auto port = static_cast<uint16_t>(9000 + i);
      const UniqueFd listener =
          to == nullptr ? Listen(address, port).value() : ListenIn(*to, address, port);
      const auto connect_there = [&] {
        UniqueFd made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const Address name = At(address, port);
        EXPECT_EQ(
            connect(made.get(), reinterpret_cast<const sockaddr*>(&name.storage), name.length), 0);
        return made;
      };
      best = std::min(best, TimeTransfer(listener, [&]() -> UniqueFd {
                        if (from == nullptr) return connect_there();
                        return std::move(*In(
                            *from, [&] { return std::make_shared<UniqueFd>(connect_there()); }));
                      }));
    }
    return best;
  }

  // Eight pods, all at once; their first addresses.
  static std::set<std::string> AttachManyAtOnce(PodNetwork& network) {
    std::vector<std::thread> threads;
    std::mutex mutex;
    std::set<std::string> addresses;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&, i] {
        const auto pod = Attach(network, Request("pod" + std::to_string(i)));
        const std::lock_guard lock(mutex);
        addresses.insert(pod.ips().at(0));
      });
    for (auto& thread : threads) thread.join();
    return addresses;
  }

  // KillAtEveryStep of a Detach, in processes that have a network and attached the pod before.
  static int KillDetachAtEveryStep(const std::function<std::unique_ptr<PodNetwork>()>& make,
                                   const PodNetworkRequest& request,
                                   const std::function<void(int step)>& after) {
    int next = 1;
    return KillAtEveryStep(
        [&] {
          ArmAbortStep(0);
          const auto network = make();
          if (network == nullptr || !network->Attach(request, Soon())) _exit(1);
          ArmAbortStep(next);
          (void)network->Detach(request.pod, Soon());
        },
        [&](int step) {
          next = step + 1;
          after(step);
        });
  }

  // For lists of what is left: a line each.
  std::string Mounts() const {
    std::string text;
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);)
      if (line.find(base_.string() + "/") != std::string::npos) text += line + "\n";
    return text;
  }
  static std::string FilesIn(const std::vector<HostPath>& folders) {
    std::string text;
    for (const auto& folder : folders)
      for (const auto& name : ListDirectory(folder.value()).value_or(std::vector<std::string>{}))
        text += folder.string() + "/" + name + "\n";
    return text;
  }
  // Lines that hold `part`; all where it is empty.
  static std::string OutputOf(const char* command, std::string_view part = "") {
    std::string text;
    FILE* output = popen(command, "re");
    char buffer[1024];
    while (fgets(buffer, sizeof buffer, output) != nullptr)
      if (std::string_view(buffer).find(part) != std::string_view::npos) text += buffer;
    pclose(output);
    return text;
  }

  std::filesystem::path base_;
};

}  // namespace catamaran

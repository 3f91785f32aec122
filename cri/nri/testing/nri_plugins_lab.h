#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "cri/nri/nri_plugins.h"
#include "cri/nri/testing/test_plugin.h"
#include "sandbox/base/files.h"

namespace catamaran {

inline Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }

// A node whose state the test says, and the plugins of it.
class NriPluginsTest : public ::testing::Test {
 protected:
  NriPluginsTest()
      : folder_(std::filesystem::path(testing::TempDir()) / fmt::format("nri.{}", getpid())) {
    EXPECT_TRUE(MakeDirectories(folder_));
    config_.socket = HostPath(folder_) / "nri/nri.sock";
    config_.plugin_dir = HostPath(folder_) / "plugins";
    config_.config_dir = HostPath(folder_) / "conf.d";
    config_.request_timeout = std::chrono::seconds(20);
    config_.registration_timeout = std::chrono::seconds(20);
  }
  ~NriPluginsTest() override {
    plugins_.reset();
    EXPECT_TRUE(RemoveTree(folder_));
  }

  void Start() {
    plugins_ = std::make_unique<NriPlugins>(
        config_, NriHost{.snapshot =
                             [this] {
                               std::lock_guard lock(mutex_);
                               return state_;
                             },
                         .update =
                             [this](const auto& updates, const auto& evictions) {
                               std::lock_guard lock(mutex_);
                               updated_.insert(updated_.end(), updates.begin(), updates.end());
                               evicted_ += static_cast<int>(evictions.size());
                               return std::vector<nri::ContainerUpdate>();
                             },
                         .notice =
                             [this](const std::string& text) {
                               std::lock_guard lock(mutex_);
                               notices_ += text + "\n";
                             }});
    const auto started = plugins_->Start();
    ASSERT_TRUE(started) << started.error().message;
  }

  std::unique_ptr<TestPlugin> Connect(TestPlugin::Options options) {
    auto plugin = TestPlugin::Connect(config_.socket.string(), std::move(options));
    EXPECT_TRUE(plugin) << plugin.error().message;
    if (!plugin) return nullptr;
    EXPECT_TRUE((*plugin)->WaitUntilReady(Soon())) << notices();
    return *std::move(plugin);
  }

  Status Tell(nri::Event event, const std::string& container = "c") {
    return plugins_->Tell(
        event, nullptr,
        [&] {
          nri::EventRequest request;
          request.mutable_pod()->set_id("p");
          request.mutable_container()->set_id(container);
          return request;
        },
        Soon());
  }
  Result<PluginAnswers> Create() {
    nri::EventRequest request;
    request.mutable_pod()->set_id("p");
    request.mutable_container()->set_id("c");
    return plugins_->CreateContainer(nullptr, request, Soon());
  }

  std::string notices() {
    std::lock_guard lock(mutex_);
    return notices_;
  }
  bool WaitForNotice(const std::string& part) {
    const Deadline deadline = Soon();
    while (!deadline.expired()) {
      if (notices().find(part) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  const std::filesystem::path folder_;
  NriConfig config_;
  std::mutex mutex_;
  nri::SynchronizeRequest state_;
  std::vector<nri::ContainerUpdate> updated_;
  int evicted_ = 0;
  std::string notices_;
  std::unique_ptr<NriPlugins> plugins_;
};

}  // namespace catamaran

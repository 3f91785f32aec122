#pragma once

#include <memory>
#include <vector>

#include "cri/nri/testing/test_plugin.h"
#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {

// A scenario with plugins of the Node Resource Interface that live in this process.
class NriScenario : public PodTest {
 protected:
  void TearDown() override {
    ClosePlugins();
    PodTest::TearDown();
  }
  void ClosePlugins() {
    for (auto& plugin : plugins_) plugin->Close();
  }
  TestPlugin& Connect(TestPlugin::Options options = {}) {
    auto plugin = TestPlugin::Connect(world().paths().run() + "/nri/nri.sock", std::move(options));
    EXPECT_TRUE(plugin) << plugin.error().message;
    EXPECT_TRUE((*plugin)->WaitUntilReady(Soon()));
    plugins_.push_back(*std::move(plugin));
    return *plugins_.back();
  }
  // One that asks for this adjustment of every container.
  TestPlugin& Adjusting(const nri::ContainerAdjustment& adjustment) {
    return Connect(
        {.answer = [=](const std::string& method, const std::string&) -> Result<std::string> {
          if (method != "CreateContainer") return std::string();
          nri::CreateContainerResponse response;
          *response.mutable_adjust() = adjustment;
          return response.SerializeAsString();
        }});
  }
  Reply<v1::RunPodSandboxResponse> TryRun(const v1::PodSandboxConfig& config) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = config;
    request.set_runtime_handler(GetParam());
    return cri().RunPodSandbox(request);
  }
  void RestartDaemon() {
    auto started = world().RestartDaemon();
    ASSERT_TRUE(started) << started.error().message;
  }

  static Deadline Soon() { return Deadline::After(kPatience); }

 private:
  std::vector<std::unique_ptr<TestPlugin>> plugins_;
};

}  // namespace catamaran::e2e

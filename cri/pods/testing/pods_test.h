#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <vector>

#include "cri/pods/operations.h"
#include "cri/pods/testing/fake_world.h"
#include "sandbox/base/files.h"

namespace catamaran {

#define ASSERT_OK(expression)                                          \
  do {                                                                 \
    const auto& assert_ok_result = (expression);                       \
    ASSERT_TRUE(assert_ok_result) << assert_ok_result.error().message; \
  } while (false)

// A daemon's pods upon a FakeWorld, in folders of their own.
class PodsTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cri-pods-XXXXXX";
    folder_ = HostPath(mkdtemp(name));
    world_ = FakeWorld::Create(folder_);
    StartDaemon();
  }
  void TearDown() override {
    pods_.reset();
    (void)RemoveTree(folder_.value());
  }
  virtual std::unique_ptr<ShimManager> NewShimManager() { return world_->NewShimManager(); }
  virtual PodCgroups& cgroups() { return world_->cgroup_driver(); }

  // Of every daemon that is started.
  virtual void Configure(Config&) {}

  void StartDaemon(const std::string& boot_id = "this-boot") {
    pods_.reset();
    Config config;
    config.root = folder_ / "root";
    config.run = folder_ / "run";
    config.cgroup_root = "/fake";
    config.handlers = {{.name = "ns"}, {.name = "vm", .hull = HandlerConfig::Hull::kVm}};
    Configure(config);
    PodsParts parts{.shims = NewShimManager(),
                    .images = world_->images(),
                    .network = world_->network(),
                    .cgroups = cgroups(),
                    .notice = [this](const About& about, const std::string& text) {
                      std::lock_guard lock(notices_mutex_);
                      notices_ += about.pod + " " + about.container + " " + text + "\n";
                    }};
    pods_ = std::make_unique<Pods>(config, std::move(parts), boot_id);
    auto recovered = pods_->Recover(Deadline::After(std::chrono::seconds(30)));
    ASSERT_TRUE(recovered) << recovered.error().message;
  }

  static CallContext Call(int seconds = 30) {
    return {.deadline = Deadline::After(std::chrono::seconds(seconds))};
  }

  static v1::RunPodSandboxRequest PodRequest(const std::string& name) {
    v1::RunPodSandboxRequest request;
    auto* metadata = request.mutable_config()->mutable_metadata();
    metadata->set_name(name);
    metadata->set_namespace_("default");
    metadata->set_uid("uid-" + name);
    (*request.mutable_config()->mutable_labels())["app"] = name;
    (*request.mutable_config()->mutable_annotations())["note"] = "\xc3\xa4 b\n";
    return request;
  }
  static v1::CreateContainerRequest ContainerRequest(const std::string& pod,
                                                     const std::string& name,
                                                     const std::vector<std::string>& args) {
    v1::CreateContainerRequest request;
    request.set_pod_sandbox_id(pod);
    request.mutable_config()->mutable_metadata()->set_name(name);
    request.mutable_config()->mutable_image()->set_image(kFakeImage);
    for (const auto& arg : args) request.mutable_config()->add_command(arg);
    return request;
  }

  Result<std::string> Run(const std::string& name) {
    ASSIGN_OR_RETURN(auto response, RunPodSandbox(PodRequest(name), Call(), *pods_));
    return response.pod_sandbox_id();
  }
  Result<std::string> Create(const std::string& pod, const std::string& name,
                             const std::vector<std::string>& args = {"run"}) {
    ASSIGN_OR_RETURN(auto response,
                     CreateContainer(ContainerRequest(pod, name, args), Call(), *pods_));
    return response.container_id();
  }
  Status Start(const std::string& container) {
    v1::StartContainerRequest request;
    request.set_container_id(container);
    RETURN_IF_ERROR(StartContainer(request, Call(), *pods_));
    return {};
  }
  Status Stop(const std::string& container, int64_t timeout, const CallContext& call = Call()) {
    v1::StopContainerRequest request;
    request.set_container_id(container);
    request.set_timeout(timeout);
    RETURN_IF_ERROR(StopContainer(request, call, *pods_));
    return {};
  }
  Status Remove(const std::string& container) {
    v1::RemoveContainerRequest request;
    request.set_container_id(container);
    RETURN_IF_ERROR(RemoveContainer(request, Call(), *pods_));
    return {};
  }
  Status StopSandbox(const std::string& pod) {
    v1::StopPodSandboxRequest request;
    request.set_pod_sandbox_id(pod);
    RETURN_IF_ERROR(StopPodSandbox(request, Call(), *pods_));
    return {};
  }
  Status RemoveSandbox(const std::string& pod) {
    v1::RemovePodSandboxRequest request;
    request.set_pod_sandbox_id(pod);
    RETURN_IF_ERROR(RemovePodSandbox(request, Call(), *pods_));
    return {};
  }
  Result<v1::ContainerStatus> TryStatus(const std::string& container) {
    v1::ContainerStatusRequest request;
    request.set_container_id(container);
    ASSIGN_OR_RETURN(auto response, ContainerStatus(request, Call(), *pods_));
    return response.status();
  }
  v1::ContainerStatus StatusOf(const std::string& container) {
    auto status = TryStatus(container);
    EXPECT_TRUE(status) << status.error().message;
    return status.value_or(v1::ContainerStatus());
  }
  v1::PodSandboxStatusResponse SandboxOf(const std::string& pod, bool verbose = false) {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(pod);
    request.set_verbose(verbose);
    auto response = PodSandboxStatus(request, Call(), *pods_);
    EXPECT_TRUE(response) << response.error().message;
    return response.value_or(v1::PodSandboxStatusResponse());
  }
  std::vector<std::string> SandboxIds() {
    std::vector<std::string> ids;
    const auto listed = ListPodSandbox({}, Call(), *pods_);
    for (const auto& item : listed->items()) ids.push_back(item.id());
    return ids;
  }
  std::vector<std::string> ContainerIds() {
    std::vector<std::string> ids;
    const auto listed = ListContainers({}, Call(), *pods_);
    for (const auto& item : listed->containers()) ids.push_back(item.id());
    return ids;
  }

  // What is left of pods in the folders, by relative path.
  std::vector<std::string> Files() {
    std::vector<std::string> files;
    for (const char* part : {"root/pods", "run/pods"}) {
      auto names = ListDirectory((folder_ / part).value());
      if (!names) continue;
      for (const auto& name : *names) files.push_back(std::string(part) + "/" + name);
    }
    return files;
  }
  void ExpectNothingLeft() {
    EXPECT_EQ(world_->Describe(), "");
    EXPECT_EQ(Files(), std::vector<std::string>());
    EXPECT_EQ(SandboxIds(), std::vector<std::string>());
    EXPECT_EQ(ContainerIds(), std::vector<std::string>());
  }
  // Waits for what happens in the background.
  void Settle() { pods_->background().Drain(); }

  HostPath folder_;
  std::unique_ptr<FakeWorld> world_;
  std::unique_ptr<Pods> pods_;
  std::mutex notices_mutex_;
  std::string notices_;
};

}  // namespace catamaran

#pragma once

#include <sys/mount.h>

#include <filesystem>
#include <string>
#include <vector>

#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {

// Pods with volumes laid out as the kubelet lays them out. What is mounted for a scenario is
// unmounted at its end.
class VolumeTest : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    if (HasFatalFailure()) return;
    kubelet_ = world().NewFolder("kubelet");
    pod_ = RunPod();
  }
  void TearDown() override {
    while (!mounted_.empty()) {
      umount2(mounted_.back().c_str(), MNT_DETACH);
      mounted_.pop_back();
    }
    PodTest::TearDown();
  }

  std::string PodFolder() const { return kubelet_ + "/pods/0b54c6a2-5d0f-4d2a-8f3a-1f1f6f2c9a11"; }
  // The folder of one of the pod's volumes, made.
  std::string VolumeFolder(const std::string& plugin, const std::string& name) {
    return Made(PodFolder() + "/volumes/kubernetes.io~" + plugin + "/" + name);
  }
  // A part of a volume, bound where the kubelet binds sub-paths.
  std::string SubPath(const std::string& part, const std::string& volume, int index = 0) {
    const std::string place =
        PodFolder() + "/volume-subpaths/" + volume + "/main/" + std::to_string(index);
    if (std::filesystem::is_directory(part)) {
      Made(place);
    } else {
      Made(std::filesystem::path(place).parent_path());
      WriteFile(place, "");
    }
    Mounted(place, mount(part.c_str(), place.c_str(), nullptr, MS_BIND, nullptr));
    return place;
  }
  // An emptyDir of medium Memory.
  std::string MemoryVolume(const std::string& name, const std::string& options) {
    const std::string folder = VolumeFolder("empty-dir", name);
    Mounted(folder, mount("tmpfs", folder.c_str(), "tmpfs", 0, options.c_str()));
    return folder;
  }

  v1::ContainerConfig Shell(const std::string& script) {
    return ShellConfig("c" + std::to_string(++count_), script);
  }
  // A container that sleeps with these mounts (host, container).
  std::string Sleeper(const std::vector<std::pair<std::string, std::string>>& mounts) {
    auto config = Shell("sleep 100000");
    for (const auto& [host, container] : mounts) AddMount(config, host, container);
    return CreateAndStart(pod_, config);
  }
  static void RunAs(v1::ContainerConfig& config, int64_t uid, int64_t gid) {
    auto* context = config.mutable_linux()->mutable_security_context();
    context->mutable_run_as_user()->set_value(uid);
    context->mutable_run_as_group()->set_value(gid);
  }
  static void WriteFile(const std::string& path, const std::string& content);
  static std::string Made(const std::string& folder);
  void Mounted(const std::string& place, int result);

  std::string kubelet_, pod_;

 private:
  std::vector<std::string> mounted_;
  int count_ = 0;
};

}  // namespace catamaran::e2e

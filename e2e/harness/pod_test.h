#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "e2e/harness/test_image.h"
#include "e2e/harness/world.h"

namespace catamaran::e2e {

// How long a scenario waits for something that must happen; a busy machine is no failure.
inline constexpr std::chrono::seconds kPatience{60};

// True as soon as `condition` is; false when the time is up.
bool WaitUntil(const std::function<bool()>& condition, std::chrono::seconds limit = kPatience);

// One record of a CRI log file.
struct LogRecord {
  std::string time, stream, tag, text;
};
std::vector<LogRecord> ParseLog(const std::string& content);
// What a stream printed: the texts, with a newline after each full record.
std::string TextOf(const std::vector<LogRecord>& records, const std::string& stream);

// A scenario without a handler: takes the leak comparison around itself.
class WorldTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  World& world() { return TheWorld(); }
  CriClient& cri() { return TheWorld().cri(); }

 private:
  Snapshot before_;
};

// A container's or process's end as a scenario sees it.
struct Ended {
  int exit_code = -1;
  std::string reason, out, err;
};

// A scenario that is run for every handler. Pods made through it are removed at its end, and the
// leak comparison follows. On a vm handler every pod must show a boot id and a kernel release that
// are not the host's, and be a clone of a template unless a boot was asked for (machines.h).
class PodTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override;
  void TearDown() override;

  World& world() { return TheWorld(); }
  CriClient& cri() { return TheWorld().cri(); }
  bool on_vm() const { return GetParam() != kNs; }

  // A pod configuration like the kubelet's, with a log folder of its own.
  v1::PodSandboxConfig PodConfig(const std::string& name = "pod");
  // Runs it; a test failure and "" where that fails.
  std::string RunPod(const v1::PodSandboxConfig& config);
  std::string RunPod() { return RunPod(PodConfig()); }

  // Of a pod on a vm handler: counts its machine, checks that it is one. RunPod does it.
  MachineFacts CheckMachine(const std::string& pod);

  v1::ContainerConfig ContainerConfig(const std::string& name,
                                      const std::vector<std::string>& command);
  // `sh -c SCRIPT`.
  v1::ContainerConfig ShellConfig(const std::string& name, const std::string& script) {
    return ContainerConfig(name, {"/bin/sh", "-c", script});
  }
  // Read-write; the caller may change what it is given back.
  static v1::Mount* AddMount(v1::ContainerConfig& config, const std::string& host,
                             const std::string& container) {
    auto* mount = config.add_mounts();
    mount->set_host_path(host);
    mount->set_container_path(container);
    return mount;
  }
  Reply<v1::CreateContainerResponse> TryCreate(const std::string& pod,
                                               const v1::ContainerConfig& config);
  std::string Create(const std::string& pod, const v1::ContainerConfig& config);
  std::string CreateAndStart(const std::string& pod, const v1::ContainerConfig& config);
  // One that sleeps until it is stopped.
  std::string StartSleeper(const std::string& pod, const std::string& name = "sleeper");

  v1::ContainerStatus StatusOf(const std::string& container);
  bool WaitForState(const std::string& container, v1::ContainerState state);
  // Creates, starts, waits for the end, reads the log.
  Ended RunToEnd(const std::string& pod, const v1::ContainerConfig& config);
  // sh -c SCRIPT in a pod of its own.
  Ended RunToEnd(const std::string& script);

  Reply<v1::ExecSyncResponse> Exec(const std::string& container,
                                   const std::vector<std::string>& command, int timeout = 60);
  // Standard output of a script in a container; a test failure where it fails.
  std::string Output(const std::string& container, const std::string& script);

  // Loads an image that is removed again before the leak comparison; returns its name.
  std::string LoadForThisTest(const ImageDescription& image);

  void StopAndRemovePod(const std::string& pod);
  std::string IpOf(const std::string& pod);
  std::string LogPath(const std::string& container);
  std::vector<LogRecord> Log(const std::string& container);

  const v1::PodSandboxConfig& config_of(const std::string& pod) const;

 private:
  struct Pod {
    std::string id;
    v1::PodSandboxConfig config;
  };
  std::vector<Pod> pods_;
  std::vector<std::string> images_;
  int names_ = 0;
  Snapshot before_;
};

#define CATAMARAN_ON_EVERY_HANDLER(Suite)                            \
  INSTANTIATE_TEST_SUITE_P(On, Suite, ::testing::Values("ns", "vm"), \
                           [](const auto& info) { return info.param; })

}  // namespace catamaran::e2e

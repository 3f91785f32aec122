#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "cri/network/cni/folder_watch.h"
#include "cri/network/cni/network_list.h"
#include "cri/network/cni/plugin_run.h"
#include "cri/network/pod_network.h"

namespace catamaran {

// Which network the configuration folder describes now, and whether its plugins are there and say
// that they are ready (STATUS). Follows the folder and the plugins' folders live, on a thread of
// its own, which also asks STATUS again and again. Thread-safe.
class ConfigurationWatch {
 public:
  struct Options {
    HostPath folder;
    std::chrono::milliseconds status_interval;
    // Called on its thread after a change of network or of readiness.
    std::function<void()> changed;
  };

  // Has read the folder when it returns. `runner` must outlive it.
  static Result<std::unique_ptr<ConfigurationWatch>> Start(Options options,
                                                           const PluginRunner& runner);
  ConfigurationWatch(const ConfigurationWatch&) = delete;
  ~ConfigurationWatch();  // waits for a STATUS that is being asked

  std::shared_ptr<const CniNetworkList> network() const;  // null: none
  PodNetwork::Readiness readiness() const;
  std::vector<std::string> problems() const;  // files that were passed over

 private:
  ConfigurationWatch(Options options, const PluginRunner& runner, FolderWatch watch, UniqueFd stop)
      : options_(std::move(options)),
        runner_(runner),
        watch_(std::move(watch)),
        stop_(std::move(stop)) {}
  void Load();
  void AskStatus();
  void Publish(CniConfiguration configuration, PodNetwork::Readiness readiness);
  bool WantsTicks() const;
  void Run();

  const Options options_;
  const PluginRunner& runner_;
  FolderWatch watch_;
  bool is_watched_ = true;
  const UniqueFd stop_;  // an eventfd

  mutable std::mutex mutex_;  // guards what follows
  CniConfiguration configuration_;
  PodNetwork::Readiness readiness_;

  std::thread thread_;
};

}  // namespace catamaran

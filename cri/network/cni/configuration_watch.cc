#include "cri/network/cni/configuration_watch.h"

#include <fmt/ranges.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cri/network/cni/plugin_chain.h"

namespace catamaran {
namespace {

constexpr char kReason[] = "NetworkPluginNotReady";
constexpr std::chrono::seconds kStatusPatience{10};

PodNetwork::Readiness NotReady(std::string message) { return {false, kReason, std::move(message)}; }

std::string NameOf(const CniNetworkList& network) {
  return fmt::format("network {} ({})", network.name, network.source);
}

// What can be said without running anything.
PodNetwork::Readiness LookAt(const CniConfiguration& configuration, const HostPath& folder,
                             const PluginRunner& runner) {
  if (configuration.network == nullptr && configuration.problems.empty())
    return NotReady(fmt::format(
        "no CNI configuration (*.conflist, *.conf, *.json) in {}: install a network add-on, or "
        "configure network: builtin",
        folder.string()));
  if (configuration.network == nullptr)
    return NotReady(fmt::format("no valid CNI configuration in {}: {}", folder.string(),
                                fmt::join(configuration.problems, "; ")));
  for (const auto& plugin : configuration.network->plugins)
    if (!runner.Find(plugin.type))
      return NotReady(fmt::format(
          "{}: the plugin {} is in none of {}: install it, or name its folder in cni.bin_dirs",
          NameOf(*configuration.network), plugin.type, runner.FolderNames()));
  return {true, "", ""};
}

bool SameNetwork(const CniNetworkList* one, const CniNetworkList* other) {
  if (one == other) return true;
  if (one == nullptr || other == nullptr) return false;
  return one->source == other->source && one->Text() == other->Text();
}

}  // namespace

Result<std::unique_ptr<ConfigurationWatch>> ConfigurationWatch::Start(Options options,
                                                                      const PluginRunner& runner) {
  ASSIGN_OR_RETURN(auto watch, FolderWatch::Make());
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return FailWithErrno("eventfd");
  std::unique_ptr<ConfigurationWatch> made(
      new ConfigurationWatch(std::move(options), runner, std::move(watch), std::move(stop)));
  made->Load();
  made->thread_ = std::thread([watching = made.get()] { watching->Run(); });
  return made;
}

ConfigurationWatch::~ConfigurationWatch() {
  if (!thread_.joinable()) return;
  (void)eventfd_write(stop_.get(), 1);
  thread_.join();
}

std::shared_ptr<const CniNetworkList> ConfigurationWatch::network() const {
  const std::lock_guard lock(mutex_);
  return configuration_.network;
}

PodNetwork::Readiness ConfigurationWatch::readiness() const {
  const std::lock_guard lock(mutex_);
  return readiness_;
}

std::vector<std::string> ConfigurationWatch::problems() const {
  const std::lock_guard lock(mutex_);
  return configuration_.problems;
}

void ConfigurationWatch::Publish(CniConfiguration configuration, PodNetwork::Readiness readiness) {
  {
    const std::lock_guard lock(mutex_);
    const bool same = SameNetwork(configuration_.network.get(), configuration.network.get()) &&
                      configuration_.problems == configuration.problems &&
                      readiness_.ready == readiness.ready &&
                      readiness_.message == readiness.message;
    if (same) return;
    configuration_ = std::move(configuration);
    readiness_ = std::move(readiness);
  }
  if (options_.changed) options_.changed();
}

void ConfigurationWatch::Load() {
  std::vector<HostPath> folders = {options_.folder};
  folders.insert(folders.end(), runner_.folders().begin(), runner_.folders().end());
  is_watched_ = watch_.Watch(folders);
  CniConfiguration configuration = LoadCniConfiguration(options_.folder);
  if (configuration.network && !configuration.network->only_inlined_plugins) {
    folders.push_back(options_.folder / configuration.network->name);
    is_watched_ = watch_.Watch(folders);
    configuration = LoadCniConfiguration(options_.folder);
  }
  const auto before = network();
  PodNetwork::Readiness now = LookAt(configuration, options_.folder, runner_);
  // What STATUS said of this network holds until it is asked again, which follows.
  if (now.ready && configuration.network->version.has_gc_and_status()) {
    const bool same = SameNetwork(before.get(), configuration.network.get());
    now = same ? readiness()
               : NotReady(NameOf(*configuration.network) +
                          ": its plugins have not answered STATUS yet");
  }
  Publish(std::move(configuration), std::move(now));
}

void ConfigurationWatch::AskStatus() {
  CniConfiguration configuration;
  {
    const std::lock_guard lock(mutex_);
    configuration = configuration_;
  }
  if (!configuration.network) return;
  PodNetwork::Readiness now = LookAt(configuration, options_.folder, runner_);
  if (now.ready) {
    auto asked =
        PluginChain(runner_, *configuration.network).AskStatus(Deadline::After(kStatusPatience));
    if (!asked) now = NotReady(NameOf(*configuration.network) + ": " + asked.error().message);
  }
  Publish(std::move(configuration), std::move(now));
}

bool ConfigurationWatch::WantsTicks() const {
  const auto current = network();
  return !is_watched_ || (current && current->version.has_gc_and_status());
}

void ConfigurationWatch::Run() {
  while (true) {
    AskStatus();
    pollfd events[] = {{watch_.fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    const int patience = WantsTicks() ? static_cast<int>(options_.status_interval.count()) : -1;
    if (poll(events, 2, patience) < 0 && errno != EINTR) return;
    if (events[1].revents != 0) return;
    const bool look = events[0].revents != 0 || !is_watched_;
    if (events[0].revents != 0) watch_.Drain();
    if (look) Load();
  }
}

}  // namespace catamaran

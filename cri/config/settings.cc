#include "cri/config/settings.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "cri/base/text.h"

namespace catamaran {
namespace {

// `images.signature_policy` is the names' prefix of what is in it.
constexpr std::array<std::string_view, 6> kChangeable{"images.docker_config",
                                                      "images.hosts_dir",
                                                      "images.signature_policy",
                                                      "log.",
                                                      "metrics.",
                                                      "tracing."};

class List {
 public:
  void Add(const std::string& key, std::string value) {
    settings_.push_back({key, std::move(value)});
  }
  void Add(const std::string& key, const HostPath& path) { Add(key, path.string()); }
  void Add(const std::string& key, bool on) { Add(key, std::string(on ? "true" : "false")); }
  void Add(const std::string& key, uint64_t number) { Add(key, std::to_string(number)); }
  void Add(const std::string& key, std::chrono::milliseconds duration) {
    Add(key, fmt::format("{}ms", duration.count()));
  }
  void Add(const std::string& key, const std::vector<HostPath>& paths) {
    std::vector<std::string> texts;
    for (const HostPath& path : paths) texts.push_back(path.string());
    Add(key, fmt::format("[{}]", fmt::join(texts, ", ")));
  }
  std::vector<Setting> Take() { return std::move(settings_); }

 private:
  std::vector<Setting> settings_;
};

std::string Endpoint(const std::string& address, uint16_t port) {
  return address.empty() ? "" : HostAndPort(address, port);
}

void AddImages(const ImagesConfig& images, List* list) {
  list->Add("images.hosts_dir", images.hosts_dir);
  list->Add("images.docker_config", images.docker_config);
  list->Add("images.pinned", fmt::format("[{}]", fmt::join(images.pinned, ", ")));
  for (const SignatureRule& rule : images.signature_policy) {
    static constexpr std::array kKinds{"accept", "reject", "signed"};  // in the enum's order
    std::vector<std::string> keys;
    for (const HostPath& key : rule.keys) keys.push_back(key.string());
    list->Add(fmt::format("images.signature_policy[{}]", rule.scope),
              keys.empty() ? std::string(kKinds.at(static_cast<size_t>(rule.kind)))
                           : fmt::format("{} [{}]", kKinds.at(static_cast<size_t>(rule.kind)),
                                         fmt::join(keys, ", ")));
  }
}

void AddNri(const NriConfig& nri, List* list) {
  list->Add("nri.enabled", nri.enabled);
  list->Add("nri.socket", nri.socket);
  list->Add("nri.plugin_dir", nri.plugin_dir);
  list->Add("nri.config_dir", nri.config_dir);
  list->Add("nri.request_timeout", nri.request_timeout);
  list->Add("nri.registration_timeout", nri.registration_timeout);
}

void AddTracing(const TracingConfig& tracing, List* list) {
  list->Add("tracing.endpoint", tracing.endpoint);
  list->Add("tracing.tls.ca", tracing.ca);
  list->Add("tracing.tls.certificate", tracing.certificate);
  list->Add("tracing.tls.key", tracing.key);
  list->Add("tracing.sampling_rate_per_million", uint64_t{tracing.sampling_rate_per_million});
  list->Add("tracing.service_name", tracing.service_name);
}

void AddHandler(const HandlerConfig& handler, List* list) {
  const std::string name = fmt::format("handlers[{}].", handler.name);
  const bool vm = handler.hull == HandlerConfig::Hull::kVm;
  list->Add(name + "backend", std::string(vm ? "vm" : "ns"));
  if (!vm) return list->Add(name + "writable_layer_limit", handler.writable_layer_limit);
  const spec::MachineSpec& machine = handler.machine;
  list->Add(name + "machine.kernel", machine.kernel());
  list->Add(name + "machine.initramfs", machine.initramfs());
  list->Add(name + "machine.command_line", machine.command_line());
  list->Add(name + "machine.writable_disk", machine.writable_disk());
  list->Add(name + "machine.default_memory", machine.default_memory_bytes());
  list->Add(name + "machine.overhead_memory", machine.overhead_memory_bytes());
  list->Add(name + "machine.cpus", uint64_t{machine.cpus()});
  list->Add(name + "machine.template", machine.use_template());
  list->Add(name + "machine.pool", uint64_t{handler.pool});
  list->Add(name + "machine.qemu", machine.qemu());
}

std::string UlimitsText(const std::vector<spec::Rlimit>& limits) {
  std::vector<std::string> texts;
  for (const spec::Rlimit& limit : limits)
    texts.push_back(fmt::format("{}={}:{}", limit.name(), limit.soft(), limit.hard()));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

// Of a handler that comes or goes its backend says it all.
bool GoesWithoutSaying(const std::string& key) {
  return key.starts_with("handlers[") && !key.ends_with(".backend");
}

}  // namespace

std::vector<Setting> SettingsOf(const Config& config) {
  List list;
  list.Add("listen", config.listen);
  list.Add("root", config.root);
  list.Add("run", config.run);
  list.Add("templates", config.templates);
  list.Add("cgroup_driver", std::string(CgroupDriverName(config.cgroup_driver)));
  list.Add("cgroup_root", config.cgroup_root);
  list.Add("default_handler", config.default_handler);
  list.Add("shim", config.shim);
  const bool builtin = config.network == Config::Network::kBuiltin;
  list.Add("network", std::string(builtin ? "builtin" : "cni"));
  list.Add("cni.conf_dir", config.cni_conf_dir);
  list.Add("cni.bin_dirs", config.cni_bin_dirs);
  list.Add("builtin_network.cidr_v4", config.builtin_cidr_v4);
  list.Add("builtin_network.cidr_v6", config.builtin_cidr_v6);
  list.Add("allow_emulation", config.allow_emulation);
  AddImages(config.images, &list);
  list.Add("cdi_spec_dirs", config.cdi_spec_dirs);
  list.Add("default_ulimits", UlimitsText(config.default_ulimits));
  list.Add("streaming.address", Endpoint(config.streaming.address, config.streaming.port));
  list.Add("streaming.idle", std::chrono::milliseconds(config.streaming.idle));
  AddNri(config.nri, &list);
  list.Add("metrics.address", Endpoint(config.metrics.address, config.metrics.port));
  list.Add("metrics.tls.certificate", config.metrics.certificate);
  list.Add("metrics.tls.key", config.metrics.key);
  list.Add("metrics.tls.client_ca", config.metrics.client_ca);
  AddTracing(config.tracing, &list);
  list.Add("log.level", config.log_level);
  list.Add("log.format", config.log_format);
  for (const HandlerConfig& handler : config.handlers) AddHandler(handler, &list);
  return list.Take();
}

std::vector<SettingChange> ChangesBetween(const Config& before, const Config& after) {
  std::vector<SettingChange> changes;
  std::map<std::string, std::string> old;
  for (Setting& setting : SettingsOf(before)) old.emplace(setting.key, setting.value);
  for (Setting& setting : SettingsOf(after)) {
    const auto known = old.find(setting.key);
    const std::string was = known == old.end() ? "" : known->second;
    const bool changed =
        known == old.end() ? !GoesWithoutSaying(setting.key) : was != setting.value;
    if (changed) changes.push_back({setting.key, was, setting.value});
    if (known != old.end()) old.erase(known);
  }
  for (const auto& [key, value] : old)
    if (!GoesWithoutSaying(key)) changes.push_back({key, value, ""});
  return changes;
}

bool CanChangeAtRunTime(const std::string& key) {
  return std::any_of(kChangeable.begin(), kChangeable.end(),
                     [&](std::string_view name) { return key.starts_with(name); });
}

}  // namespace catamaran

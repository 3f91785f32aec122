#include "cri/config/config.h"

#include <arpa/inet.h>
#include <fmt/ranges.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "cri/base/go_duration.h"
#include "cri/config/ip_port.h"
#include "cri/config/read_handlers.h"
#include "cri/config/read_images.h"
#include "cri/config/read_metrics.h"
#include "cri/config/read_tracing.h"
#include "cri/config/ulimits.h"
#include "cri/config/yaml_reader.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLargestFile = 1 << 20;
constexpr std::string_view kListenScheme = "unix://";

bool IsCidr(const std::string& text, int family, int least_prefix, int most_prefix) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return false;
  unsigned char address[sizeof(in6_addr)];
  if (inet_pton(family, text.substr(0, slash).c_str(), address) != 1) return false;
  const std::string_view prefix = std::string_view(text).substr(slash + 1);
  int length = 0;
  auto [end, error] = std::from_chars(prefix.data(), prefix.data() + prefix.size(), length);
  return error == std::errc() && end == prefix.data() + prefix.size() && length >= least_prefix &&
         length <= most_prefix;
}

Status ReadListen(const YamlValue& value, std::string* out) {
  RETURN_IF_ERROR(value.Read(out));
  if (!SocketPathOf(*out)) return value.Wrong("unix:// and an absolute path of at most 107 bytes");
  return {};
}

Status ReadCidr(const YamlValue& value, int family, int least, int most, std::string* out) {
  RETURN_IF_ERROR(value.Read(out));
  if (!IsCidr(*out, family, least, most)) {
    return value.Wrong(fmt::format("an {} range with a prefix from /{} to /{}",
                                   family == AF_INET ? "IPv4" : "IPv6", least, most));
  }
  return {};
}

Status ReadPluginFolders(const YamlValue& value, std::vector<HostPath>* out) {
  out->clear();
  RETURN_IF_ERROR(value.ReadSequence([out](const YamlValue& item) -> Status {
    RETURN_IF_ERROR(item.ReadAbsolutePath(&out->emplace_back()));
    if (out->back().string().find(':') != std::string::npos)
      return item.Wrong("a path without ':'");
    return {};
  }));
  if (out->empty()) return value.Wrong("at least one folder");
  return {};
}

Status ReadFolders(const YamlValue& value, std::vector<HostPath>* out) {
  out->clear();
  return value.ReadSequence(
      [out](const YamlValue& item) { return item.ReadAbsolutePath(&out->emplace_back()); });
}

Status ReadUlimits(const YamlValue& value, std::vector<spec::Rlimit>* out) {
  return value.ReadSequence([out](const YamlValue& item) -> Status {
    std::string text;
    RETURN_IF_ERROR(item.Read(&text));
    auto limit = ParseUlimit(text);
    if (!limit) return item.Wrong(limit.error().message);
    for (const spec::Rlimit& other : *out)
      if (other.name() == limit->name()) return item.Wrong("the only one of its name");
    out->push_back(std::move(*limit));
    return {};
  });
}

Status ReadIdle(const YamlValue& value, std::chrono::seconds* idle) {
  std::string text;
  RETURN_IF_ERROR(value.Read(&text));
  const auto duration = ParseGoDuration(text);
  if (!duration || *duration < std::chrono::seconds(1) || *duration > std::chrono::hours(24 * 365))
    return value.Wrong("a duration from 1s to 8760h, as 4h or 30m");
  *idle = std::chrono::duration_cast<std::chrono::seconds>(*duration);
  return {};
}

Status ReadTimeout(const YamlValue& value, std::chrono::milliseconds* timeout) {
  std::string text;
  RETURN_IF_ERROR(value.Read(&text));
  const auto duration = ParseGoDuration(text);
  if (!duration || *duration < std::chrono::milliseconds(10) || *duration > std::chrono::minutes(1))
    return value.Wrong("a duration from 10ms to 1m, as 2s or 500ms");
  *timeout = std::chrono::duration_cast<std::chrono::milliseconds>(*duration);
  return {};
}

Status ReadNri(const YamlValue& value, NriConfig* nri) {
  return value.ReadMapping({
      {"enabled", [nri](const YamlValue& v) { return v.Read(&nri->enabled); }},
      {"socket", [nri](const YamlValue& v) { return v.ReadAbsolutePath(&nri->socket); }},
      {"plugin_dir", [nri](const YamlValue& v) { return v.ReadAbsolutePath(&nri->plugin_dir); }},
      {"config_dir", [nri](const YamlValue& v) { return v.ReadAbsolutePath(&nri->config_dir); }},
      {"request_timeout",
       [nri](const YamlValue& v) { return ReadTimeout(v, &nri->request_timeout); }},
      {"registration_timeout",
       [nri](const YamlValue& v) { return ReadTimeout(v, &nri->registration_timeout); }},
  });
}

// Keys that other values depend on are checked once all is read.
struct Lines {
  int default_handler = 0;
  int cgroup_root = 0;
};

std::vector<YamlValue::Key> TopLevelKeys(const ConfigPlaces& places, Config* config, Lines* lines) {
  return {
      {"listen", [config](const YamlValue& v) { return ReadListen(v, &config->listen); }},
      {"root", [config](const YamlValue& v) { return v.ReadAbsolutePath(&config->root); }},
      {"run", [config](const YamlValue& v) { return v.ReadAbsolutePath(&config->run); }},
      {"templates",
       [config](const YamlValue& v) { return v.ReadAbsolutePath(&config->templates); }},
      {"cgroup_driver",
       [config](const YamlValue& v) -> Status {
         ASSIGN_OR_RETURN(auto index, (v.ReadWord({"cgroupfs", "systemd"})));
         config->cgroup_driver = index == 0 ? CgroupDriver::kCgroupfs : CgroupDriver::kSystemd;
         return {};
       }},
      {"cgroup_root",
       [config, lines](const YamlValue& v) {
         lines->cgroup_root = v.line();
         return v.ReadAbsolutePath(&config->cgroup_root);
       }},
      {"default_handler",
       [config, lines](const YamlValue& v) {
         lines->default_handler = v.line();
         return v.Read(&config->default_handler);
       }},
      {"network",
       [config](const YamlValue& v) -> Status {
         ASSIGN_OR_RETURN(auto index, (v.ReadWord({"cni", "builtin"})));
         config->network = index == 0 ? Config::Network::kCni : Config::Network::kBuiltin;
         return {};
       }},
      {"builtin_network",
       [config](const YamlValue& v) {
         return v.ReadMapping({
             {"cidr_v4",
              [config](const YamlValue& c) {
                return ReadCidr(c, AF_INET, 8, 30, &config->builtin_cidr_v4);
              }},
             {"cidr_v6",
              [config](const YamlValue& c) {
                return ReadCidr(c, AF_INET6, 16, 126, &config->builtin_cidr_v6);
              }},
         });
       }},
      {"cni",
       [config](const YamlValue& v) {
         return v.ReadMapping({
             {"conf_dir",
              [config](const YamlValue& c) { return c.ReadAbsolutePath(&config->cni_conf_dir); }},
             {"bin_dirs",
              [config](const YamlValue& c) { return ReadPluginFolders(c, &config->cni_bin_dirs); }},
         });
       }},
      {"allow_emulation",
       [config](const YamlValue& v) { return v.Read(&config->allow_emulation); }},
      {"shim", [config](const YamlValue& v) { return v.ReadAbsolutePath(&config->shim); }},
      {"log",
       [config](const YamlValue& v) {
         return v.ReadMapping({
             {"level",
              [config](const YamlValue& level) -> Status {
                RETURN_IF_ERROR(level.ReadWord({"debug", "info", "warn", "error"}));
                return level.Read(&config->log_level);
              }},
             {"format",
              [config](const YamlValue& format) -> Status {
                RETURN_IF_ERROR(format.ReadWord({"text", "json"}));
                return format.Read(&config->log_format);
              }},
         });
       }},
      {"cdi_spec_dirs",
       [config](const YamlValue& v) { return ReadFolders(v, &config->cdi_spec_dirs); }},
      {"default_ulimits",
       [config](const YamlValue& v) { return ReadUlimits(v, &config->default_ulimits); }},
      {"images", [config](const YamlValue& v) { return ReadImages(v, &config->images); }},
      {"streaming",
       [config](const YamlValue& v) {
         return v.ReadMapping({
             {"address",
              [config](const YamlValue& a) {
                return ReadIpPort(a, &config->streaming.address, &config->streaming.port);
              }},
             {"idle",
              [config](const YamlValue& i) { return ReadIdle(i, &config->streaming.idle); }},
         });
       }},
      {"nri", [config](const YamlValue& v) { return ReadNri(v, &config->nri); }},
      {"metrics", [config](const YamlValue& v) { return ReadMetrics(v, &config->metrics); }},
      {"tracing", [config](const YamlValue& v) { return ReadTracing(v, &config->tracing); }},
      {"handlers",
       [config, &places](const YamlValue& v) {
         return v.ReadSequence(
             [&](const YamlValue& item) { return ReadHandler(item, places, config); });
       }},
  };
}

// With systemd it is a slice, as any pod's parent.
Status SettleCgroupRoot(const std::string& file_name, const Lines& lines, Config* config) {
  if (config->cgroup_root.empty()) config->cgroup_root = DefaultCgroupRoot(config->cgroup_driver);
  return PodCgroupPath(config->cgroup_driver,
                       fmt::format("{}:{}: cgroup_root", file_name, lines.cgroup_root),
                       config->cgroup_root, PodId("0"))
      .map([](const std::string&) {});
}

// Flags are read like the file's values, so that both obey the same rules.
Status ApplyOverrides(const ConfigOverrides& overrides, Config* config) {
  const auto apply = [&](const std::string& flag, const std::string& value,
                         const std::function<Status(const YamlValue&)>& read) -> Status {
    if (value.empty()) return {};
    return YamlValue::ReadScalar(value, flag, read);
  };
  RETURN_IF_ERROR(apply("--listen", overrides.listen,
                        [&](const YamlValue& v) { return ReadListen(v, &config->listen); }));
  RETURN_IF_ERROR(apply("--root", overrides.root,
                        [&](const YamlValue& v) { return v.ReadAbsolutePath(&config->root); }));
  return apply("--run", overrides.run,
               [&](const YamlValue& v) { return v.ReadAbsolutePath(&config->run); });
}

}  // namespace

const HandlerConfig* Config::FindHandler(std::string_view name) const {
  if (name.empty()) name = default_handler;
  for (const HandlerConfig& handler : handlers) {
    if (handler.name == name) return &handler;
  }
  return nullptr;
}

std::string Config::HandlerNames() const {
  std::vector<std::string_view> names;
  for (const HandlerConfig& handler : handlers) names.push_back(handler.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

Result<ConfigPlaces> ConfigPlaces::OfThisProgram() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return FailErrno(error.value(), "read /proc/self/exe");
  return ConfigPlaces{HostPath(program.parent_path())};
}

Result<Config> ParseConfig(std::string_view text, const std::string& file_name,
                           const ConfigPlaces& places, const ConfigOverrides& overrides) {
  Config config;
  Lines lines;
  config.shim = places.program_directory / "catamaran-shim";
  RETURN_IF_ERROR(YamlValue::ReadDocument(text, file_name, TopLevelKeys(places, &config, &lines)));
  RETURN_IF_ERROR(ApplyOverrides(overrides, &config));
  if (config.handlers.empty()) AddDefaultHandlers(places, &config);
  if (config.default_handler.empty() || config.FindHandler(config.default_handler) == nullptr) {
    return Fail(ErrorCode::kInvalidArgument,
                "{}:{}: default_handler: '{}' is wrong: must be one of the handlers: {}", file_name,
                std::max(lines.default_handler, 1), config.default_handler, config.HandlerNames());
  }
  RETURN_IF_ERROR(SettleCgroupRoot(file_name, lines, &config));
  if (config.listen.empty()) {
    config.listen = std::string(kListenScheme) + (config.run / "catamaran.sock").string();
    RETURN_IF_ERROR(SocketPathOf(config.listen));
  }
  if (config.templates.empty()) config.templates = config.root / "templates";
  for (HandlerConfig& handler : config.handlers) {
    if (handler.hull != HandlerConfig::Hull::kVm) continue;
    handler.machine.set_allow_emulation(config.allow_emulation);
    handler.machine.set_template_folder(config.templates.string());
    handler.machine.set_template_socket(config.KeeperPaths().socket().string());
  }
  return config;
}

Result<Config> LoadConfig(const HostPath& file, const ConfigPlaces& places,
                          const ConfigOverrides& overrides) {
  ASSIGN_OR_RETURN(auto text, ReadFile(file.value(), kLargestFile));
  return ParseConfig(text, file.string(), places, overrides);
}

Result<Config> FindConfig(const std::string& named, const HostPath& usual,
                          const ConfigPlaces& places, const ConfigOverrides& overrides) {
  if (!named.empty()) return LoadConfig(HostPath(named), places, overrides);
  if (Exists(usual.value())) return LoadConfig(usual, places, overrides);
  return ParseConfig("", "defaults", places, overrides);
}

Result<HostPath> SocketPathOf(const std::string& listen) {
  const bool absolute = listen.starts_with(kListenScheme) && listen[kListenScheme.size()] == '/';
  const std::string path = absolute ? listen.substr(kListenScheme.size()) : "";
  if (!absolute || path.size() < 2 || path.back() == '/' ||
      path.size() >= sizeof(sockaddr_un::sun_path) || path.find('\0') != std::string::npos) {
    return Fail(ErrorCode::kInvalidArgument,
                "listen: '{}' is wrong: must be unix:// and an absolute path of at most {} bytes",
                listen, sizeof(sockaddr_un::sun_path) - 1);
  }
  return HostPath(path);
}

}  // namespace catamaran

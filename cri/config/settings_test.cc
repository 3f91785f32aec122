#include "cri/config/settings.h"

#include <gtest/gtest.h>

#include <set>

namespace catamaran {
namespace {

const ConfigPlaces kPlaces{HostPath("/opt/catamaran/bin")};

Config Parse(const std::string& text) {
  auto config = ParseConfig(text, "c.yaml", kPlaces);
  EXPECT_TRUE(config) << (config ? "" : config.error().message);
  return config ? *std::move(config) : Config();
}

// One text for each key that the reader knows, with a value that is not the default.
const std::vector<std::pair<std::string, std::string>> kEveryKey{
    {"listen", "listen: unix:///x/s.sock"},
    {"root", "root: /r"},
    {"run", "run: /x"},
    {"templates", "templates: /t"},
    {"cgroup_root", "cgroup_root: /c"},
    {"cgroup_driver", "{cgroup_driver: systemd, cgroup_root: /catamaran.slice}"},
    {"default_handler", "default_handler: vm"},
    {"shim", "shim: /s"},
    {"network", "network: builtin"},
    {"cni.conf_dir", "cni: {conf_dir: /n}"},
    {"cni.bin_dirs", "cni: {bin_dirs: [/b]}"},
    {"builtin_network.cidr_v4", "builtin_network: {cidr_v4: 10.1.0.0/16}"},
    {"builtin_network.cidr_v6", "builtin_network: {cidr_v6: 'fd01::/64'}"},
    {"allow_emulation", "allow_emulation: true"},
    {"images.hosts_dir", "images: {hosts_dir: /h}"},
    {"images.docker_config", "images: {docker_config: /d.json}"},
    {"images.pinned", "images: {pinned: [busybox:1]}"},
    {"images.signature_policy[*]", "images: {signature_policy: [{scope: '*', rule: reject}]}"},
    {"cdi_spec_dirs", "cdi_spec_dirs: [/cdi]"},
    {"default_ulimits", "default_ulimits: [nofile=7:8]"},
    {"streaming.address", "streaming: {address: '127.0.0.1:7'}"},
    {"streaming.idle", "streaming: {idle: 1h}"},
    {"nri.enabled", "nri: {enabled: false}"},
    {"nri.socket", "nri: {socket: /n.sock}"},
    {"nri.plugin_dir", "nri: {plugin_dir: /n}"},
    {"nri.config_dir", "nri: {config_dir: /n}"},
    {"nri.request_timeout", "nri: {request_timeout: 3s}"},
    {"nri.registration_timeout", "nri: {registration_timeout: 3s}"},
    {"metrics.address", "metrics: {address: '127.0.0.1:9'}"},
    {"tracing.endpoint", "tracing: {endpoint: 'http://c:4318'}"},
    {"tracing.sampling_rate_per_million", "tracing: {sampling_rate_per_million: 7}"},
    {"tracing.service_name", "tracing: {service_name: x}"},
    {"tracing.tls.ca", "tracing: {endpoint: 'https://c', tls: {ca: /c}}"},
    {"tracing.tls.key", "tracing: {endpoint: 'https://c', tls: {certificate: /c, key: /k}}"},
    {"log.level", "log: {level: debug}"},
    {"log.format", "log: {format: json}"},
};

TEST(Settings, EveryKeyOfTheFileIsAmongThem) {
  for (const auto& [key, text] : kEveryKey) {
    bool found = false;
    for (const SettingChange& change : ChangesBetween(Parse(""), Parse(text)))
      found = found || change.key == key;
    EXPECT_TRUE(found) << key;
  }
}

TEST(Settings, EveryKeyOfAHandlerIsAmongThem) {
  const std::string vm = "default_handler: v\nhandlers: [{name: v, backend: vm, machine: {%}}]";
  const auto with = [&](const std::string& machine) {
    std::string text = vm;
    return Parse(text.replace(text.find('%'), 1, machine));
  };
  for (const std::string machine :
       {"kernel: /k", "initramfs: /i", "command_line: x", "writable_disk: /w",
        "default_memory: 512Mi", "overhead_memory: 32Mi", "cpus: 3", "template: off", "pool: 2",
        "qemu: /q"}) {
    const auto changes = ChangesBetween(with(""), with(machine));
    ASSERT_EQ(changes.size(), 1u) << machine;
    EXPECT_EQ(changes[0].key, "handlers[v].machine." + machine.substr(0, machine.find(':')));
    EXPECT_FALSE(CanChangeAtRunTime(changes[0].key));
  }
  const auto limit =
      ChangesBetween(Parse("handlers: [{name: ns, backend: ns}]"),
                     Parse("handlers: [{name: ns, backend: ns, writable_layer_limit: 1Gi}]"));
  ASSERT_EQ(limit.size(), 1u);
  EXPECT_EQ(limit[0].key, "handlers[ns].writable_layer_limit");
}

TEST(Settings, ChangesAreNamedWithBothValues) {
  EXPECT_TRUE(ChangesBetween(Parse(""), Parse("")).empty());
  const auto changes = ChangesBetween(
      Parse("log: {level: info}\nhandlers: [{name: a, backend: ns}]\ndefault_handler: a"),
      Parse("log: {level: warn}\nhandlers: [{name: b, backend: ns}]\ndefault_handler: b"));
  std::set<std::string> lines;
  for (const auto& change : changes)
    lines.insert(change.key + " " + change.before + ">" + change.after);
  EXPECT_EQ(lines.size(), 4u) << "the log, the default and the two handlers, a line each";
  EXPECT_TRUE(lines.contains("log.level info>warn"));
  EXPECT_TRUE(lines.contains("handlers[a].backend ns>"));
  EXPECT_TRUE(lines.contains("handlers[b].backend >ns"));
}

TEST(Settings, FewCanChangeAtRunTime) {
  std::set<std::string> changeable;
  for (const auto& [key, text] : kEveryKey)
    if (CanChangeAtRunTime(key)) changeable.insert(key);
  EXPECT_EQ(
      changeable,
      (std::set<std::string>{
          "images.docker_config", "images.hosts_dir", "images.signature_policy[*]", "log.format",
          "log.level", "metrics.address", "tracing.endpoint", "tracing.sampling_rate_per_million",
          "tracing.service_name", "tracing.tls.ca", "tracing.tls.key"}));
}

TEST(Metrics, ArePlainOnLoopbackAndElsewhereWithTls) {
  const Config config = Parse(
      "metrics:\n  address: '[::]:9234'\n"
      "  tls: {certificate: /c.pem, key: /k.pem, client_ca: /ca.pem}\n");
  EXPECT_EQ(config.metrics.address, "::");
  EXPECT_EQ(config.metrics.port, 9234);
  EXPECT_EQ(config.metrics.client_ca.string(), "/ca.pem");
  EXPECT_EQ(Parse("").MetricsSocket().string(), "/run/catamaran/metrics.sock");
  EXPECT_EQ(Parse("metrics: {address: '127.8.0.1:1'}").metrics.address, "127.8.0.1");
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"metrics: {address: '0.0.0.0:9234'}", "with tls where address is not on loopback"},
           {"metrics: {address: '[::2]:9234'}", "with tls where address is not on loopback"},
           {"metrics: {address: '127.0.0.1'}", "metrics.address: '127.0.0.1' is wrong: must be IP"},
           {"metrics: {address: 'localhost:1'}", "must be IP:PORT"},
           {"metrics: {address: '127.0.0.1:1', tls: {key: /k}}", "with certificate and key"},
           {"metrics: {tls: {certificate: /c, key: /k}}", "with an address where it has tls"},
           {"metrics: {address: '127.0.0.1:1', tls: {certificate: c, key: /k}}",
            "metrics.tls.certificate: 'c' is wrong: must be an absolute path"},
           {"metrics: {port: 1}", "metrics.port"},
       }) {
    const auto wrong = ParseConfig(text, "c.yaml", kPlaces);
    ASSERT_FALSE(wrong) << text;
    EXPECT_NE(wrong.error().message.find(message), std::string::npos) << wrong.error().message;
  }
}

TEST(Tracing, HasAnEndpointThatNamesAPlaceAndNobody) {
  const Config config = Parse(
      "tracing: {endpoint: 'https://otel.example:4318/base/', sampling_rate_per_million: 1000000,"
      " service_name: node-1, tls: {ca: /ca, certificate: /c, key: /k}}");
  EXPECT_EQ(config.tracing.endpoint, "https://otel.example:4318/base");
  EXPECT_EQ(config.tracing.sampling_rate_per_million, 1'000'000u);
  EXPECT_EQ(config.tracing.key.string(), "/k");
  EXPECT_EQ(Parse("").tracing.endpoint, "");
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"tracing: {endpoint: '127.0.0.1:4318'}", "must be http://HOST:PORT"},
           {"tracing: {endpoint: 'grpc://c:4317'}", "must be http://HOST:PORT"},
           {"tracing: {endpoint: 'http://'}", "must be http://HOST:PORT"},
           {"tracing: {endpoint: 'http:///v1'}", "must be http://HOST:PORT"},
           {"tracing: {endpoint: 'http://user:secret@c:4318'}", "must be http://HOST:PORT"},
           {"tracing: {endpoint: 'http://c:4318?key=secret'}", "must be http://HOST:PORT"},
           {"tracing: {endpoint: 'http://c d'}", "must be http://HOST:PORT"},
           {"tracing: {endpoint: 'http://c', tls: {ca: /c}}", "with an endpoint of https://"},
           {"tracing: {endpoint: 'https://c', tls: {key: /k}}", "with both certificate and key"},
           {"tracing: {sampling_rate_per_million: 1000001}",
            "sampling_rate_per_million: '1000001'"},
           {"tracing: {service_name: 'a b'}", "1 to 63 letters"},
           {"tracing: {rate: 1}", "tracing.rate"},
       }) {
    const auto wrong = ParseConfig(text, "c.yaml", kPlaces);
    ASSERT_FALSE(wrong) << text;
    EXPECT_NE(wrong.error().message.find(message), std::string::npos) << wrong.error().message;
  }
}

}  // namespace
}  // namespace catamaran

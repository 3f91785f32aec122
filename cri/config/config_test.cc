#include "cri/config/config.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

const ConfigPlaces kPlaces{HostPath("/opt/catamaran/bin")};

Result<Config> Parse(const std::string& text, const ConfigOverrides& overrides = {}) {
  return ParseConfig(text, "c.yaml", kPlaces, overrides);
}

TEST(Config, HasASliceOfItsOwnWithSystemd) {
  const auto config = Parse("cgroup_driver: systemd");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->cgroup_driver, CgroupDriver::kSystemd);
  EXPECT_EQ(config->cgroup_root, "/catamaran.slice");
}

TEST(Config, HasEveryDefaultWhenTheFileIsEmpty) {
  auto config = Parse("");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->listen, "unix:///run/catamaran/catamaran.sock");
  EXPECT_EQ(config->root.string(), "/var/lib/catamaran");
  EXPECT_EQ(config->cgroup_driver, CgroupDriver::kCgroupfs);
  EXPECT_EQ(config->cgroup_root, "/catamaran");
  EXPECT_EQ(config->network, Config::Network::kCni);
  EXPECT_FALSE(config->allow_emulation);
  EXPECT_EQ(config->shim.string(), "/opt/catamaran/bin/catamaran-shim");
  EXPECT_EQ(config->HandlerNames(), "ns, vm");
  EXPECT_EQ(config->FindHandler(""), config->FindHandler("ns"));
  EXPECT_EQ(config->FindHandler("other"), nullptr);
  const HandlerConfig* vm = config->FindHandler("vm");
  ASSERT_NE(vm, nullptr);
  EXPECT_EQ(vm->hull, HandlerConfig::Hull::kVm);
  EXPECT_EQ(vm->machine.kernel(), "/var/lib/catamaran/guest/vmlinuz");
  EXPECT_EQ(vm->machine.template_folder(), "/var/lib/catamaran/templates");
  EXPECT_TRUE(vm->machine.use_template());
  EXPECT_EQ(vm->pool, 0u);
  EXPECT_TRUE(config->nri.enabled);
  EXPECT_EQ(config->nri.socket.string(), "/var/run/nri/nri.sock");
  EXPECT_EQ(config->nri.request_timeout, std::chrono::seconds(2));
}

TEST(Config, ReadsHowNriPluginsConnect) {
  auto config = Parse(
      "nri: {enabled: false, socket: /s/n.sock, plugin_dir: /p, config_dir: /c,\n"
      "      request_timeout: 1500ms, registration_timeout: 10s}");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(config->nri.enabled);
  EXPECT_EQ(config->nri.socket.string(), "/s/n.sock");
  EXPECT_EQ(config->nri.plugin_dir.string(), "/p");
  EXPECT_EQ(config->nri.config_dir.string(), "/c");
  EXPECT_EQ(config->nri.request_timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(config->nri.registration_timeout, std::chrono::seconds(10));
  for (const char* wrong : {"1ms", "2h", "fast"}) {
    config = Parse("nri: {request_timeout: " + std::string(wrong) + "}");
    ASSERT_FALSE(config);
    EXPECT_NE(config.error().message.find("request_timeout"), std::string::npos);
  }
}

TEST(Config, NamesTheUlimitThatIsNone) {
  for (const std::string wrong :
       {"nofile", "nofile=", "nofile=2:1", "files=1", "nofile=1:", "core=x"}) {
    auto config = Parse("default_ulimits:\n  - \"" + wrong + "\"\n");
    ASSERT_FALSE(config) << wrong;
    EXPECT_NE(config.error().message.find("c.yaml:2: default_ulimits[0]: '" + wrong),
              std::string::npos)
        << config.error().message;
  }
  EXPECT_FALSE(Parse("default_ulimits: [core=1, RLIMIT_CORE=2]"));
}

TEST(Config, TakesEveryKeyOfTheFile) {
  auto config = Parse(R"(
listen: unix:///run/x/y.sock
root: /r
run: /n/
cgroup_root: /pods
default_handler: big
network: builtin
builtin_network: {cidr_v4: 10.1.0.0/16, cidr_v6: "fd00::/64"}
cni: {conf_dir: /c, bin_dirs: [/a, /b/]}
allow_emulation: true
shim: /s
log: {level: debug}
cdi_spec_dirs: [/a/cdi, /b/cdi]
default_ulimits: ["nofile=1024:2048", core=-1, RLIMIT_NPROC=7]
images: {hosts_dir: /h, docker_config: /d.json, pinned: [busybox, "r.test:5000/a/b:2"]}
handlers:
  - {name: small, backend: ns}
  - {name: ready, backend: vm, machine: {pool: 64}}
  - name: big
    backend: vm
    machine: {kernel: /k, initramfs: /i, command_line: quiet, writable_disk: /w,
              default_memory: 128Mi, overhead_memory: 1Gi, cpus: 2, template: off, qemu: /q}
)");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->listen, "unix:///run/x/y.sock");
  EXPECT_EQ(config->run.string(), "/n");
  ASSERT_EQ(config->cdi_spec_dirs.size(), 2u);
  EXPECT_EQ(config->cdi_spec_dirs[1].string(), "/b/cdi");
  ASSERT_EQ(config->default_ulimits.size(), 3u);
  EXPECT_EQ(config->default_ulimits[0].name(), "RLIMIT_NOFILE");
  EXPECT_EQ(config->default_ulimits[0].soft(), 1024u);
  EXPECT_EQ(config->default_ulimits[0].hard(), 2048u);
  EXPECT_EQ(config->default_ulimits[1].hard(), UINT64_MAX);
  EXPECT_EQ(config->default_ulimits[2].name(), "RLIMIT_NPROC");
  EXPECT_EQ(config->default_ulimits[2].soft(), 7u);
  EXPECT_EQ(config->cgroup_root, "/pods");
  EXPECT_EQ(config->network, Config::Network::kBuiltin);
  EXPECT_EQ(config->builtin_cidr_v6, "fd00::/64");
  EXPECT_EQ(config->cni_conf_dir.string(), "/c");
  EXPECT_EQ(config->cni_bin_dirs, (std::vector{HostPath("/a"), HostPath("/b")}));
  EXPECT_EQ(config->log_level, "debug");
  EXPECT_EQ(config->shim.string(), "/s");
  EXPECT_EQ(config->images.hosts_dir.string(), "/h");
  EXPECT_EQ(config->images.docker_config.string(), "/d.json");
  EXPECT_EQ(config->images.pinned,
            (std::vector<std::string>{"docker.io/library/busybox:latest", "r.test:5000/a/b:2"}));
  const HandlerConfig* big = config->FindHandler("");
  ASSERT_NE(big, nullptr);
  EXPECT_EQ(big->name, "big");
  EXPECT_EQ(big->machine.default_memory_bytes(), 128u << 20);
  EXPECT_EQ(big->machine.overhead_memory_bytes(), 1u << 30);
  EXPECT_EQ(big->machine.cpus(), 2u);
  EXPECT_EQ(big->machine.command_line(), "quiet");
  EXPECT_FALSE(big->machine.use_template());
  EXPECT_TRUE(big->machine.allow_emulation());
  EXPECT_EQ(big->machine.launcher(), spec::MachineSpec::QEMU);
  EXPECT_EQ(big->pool, 0u);
  EXPECT_EQ(config->FindHandler("ready")->pool, 64u);
}

TEST(Config, TakesASignaturePolicy) {
  auto config = Parse(R"(
images:
  signature_policy:
    - {scope: "*", rule: reject}
    - {scope: Index.docker.io/library, rule: accept}
    - {scope: r.test/team, rule: signed, keys: [/a.pub, /b.pub]}
)");
  ASSERT_TRUE(config) << config.error().message;
  const auto& rules = config->images.signature_policy;
  ASSERT_EQ(rules.size(), 3u);
  EXPECT_EQ(rules[0].kind, SignatureRule::Kind::kReject);
  EXPECT_EQ(rules[1].scope, "docker.io/library");
  EXPECT_EQ(rules[2].kind, SignatureRule::Kind::kSigned);
  EXPECT_EQ(rules[2].keys.size(), 2u);
}

TEST(Config, LetsFlagsWinOverTheFile) {
  auto config = Parse("root: /r\nrun: /n\n", {"", "/other", "/run2"});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->root.string(), "/other");
  EXPECT_EQ(config->listen, "unix:///run2/catamaran.sock");
  EXPECT_EQ(config->FindHandler("vm")->machine.template_folder(), "/other/templates");
}

TEST(Config, RefusesWrongFlagsByName) {
  auto config = Parse("", {"tcp://127.0.0.1:1", "", ""});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(config.error().message.find("--listen: 'tcp://127.0.0.1:1'"), std::string::npos)
      << config.error().message;
}

struct WrongFile {
  const char* name;
  const char* text;
  const char* expected;  // a part of the message
};

class WrongConfig : public testing::TestWithParam<WrongFile> {};

TEST_P(WrongConfig, IsRefusedWithLineKeyValueAndRemedy) {
  auto config = Parse(GetParam().text);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(config.error().message.find(GetParam().expected), std::string::npos)
      << config.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, WrongConfig,
    testing::Values(
        WrongFile{"UnknownKey", "root: /r\nrot: /x\n", "c.yaml:2: rot: unknown key; known are"},
        WrongFile{"UnknownNestedKey", "log:\n  levle: info\n", "c.yaml:2: log.levle: unknown key"},
        WrongFile{"UnknownMachineKey",
                  "handlers:\n- name: v\n  backend: vm\n  machine: {launcher: process}\n",
                  "c.yaml:4: handlers[0].machine.launcher: unknown key"},
        WrongFile{"RepeatedKey", "root: /r\nroot: /s\n", "c.yaml:2: root: the key is there twice"},
        WrongFile{"NotYaml", "root: [\n", "c.yaml:2: not YAML"},
        WrongFile{"NotAMapping", "- root\n", "must be a mapping"},
        WrongFile{"TwoDocuments", "root: /r\n---\nrun: /n\n", "second document"},
        WrongFile{"TextThatTheParserDoesNotPass", "---\na: 1\n---\n,b: 2\n", "second document"},
        WrongFile{"RelativeRoot", "root: var\n",
                  "c.yaml:1: root: 'var' is wrong: must be an absolute path"},
        WrongFile{"CgroupDriver", "cgroup_driver: runc\n",
                  "cgroup_driver: 'runc' is wrong: must be one of cgroupfs, systemd"},
        WrongFile{"CgroupRootThatIsNoSlice", "cgroup_driver: systemd\ncgroup_root: /pods\n",
                  "c.yaml:2: cgroup_root: '/pods' is wrong: with cgroup_driver systemd it must be "
                  "a slice"},
        WrongFile{"DotsInRun", "run: /a/../b\n", "run: '/a/../b' is wrong"},
        WrongFile{"NoScheme", "listen: /run/x.sock\n",
                  "listen: '/run/x.sock' is wrong: must be unix"},
        WrongFile{"NetworkWord", "network: bridge\n", "must be one of cni, builtin"},
        WrongFile{"ListForAWord", "network: [cni]\n",
                  "a sequence is wrong: must be a single value"},
        WrongFile{"Cidr", "builtin_network:\n  cidr_v4: 10.0.0.0/33\n",
                  "c.yaml:2: builtin_network.cidr_v4: '10.0.0.0/33' is wrong"},
        WrongFile{"CidrOfTheOtherFamily", "builtin_network: {cidr_v6: 10.0.0.0/8}\n",
                  "an IPv6 range"},
        WrongFile{"Bool", "allow_emulation: yes please\n", "must be one of false, off, true, on"},
        WrongFile{"LogLevel", "log: {level: loud}\n", "must be one of debug, info, warn, error"},
        WrongFile{"UnknownImagesKey", "images:\n  hosts_directory: /x\n",
                  "c.yaml:2: images.hosts_directory: unknown key; known are"},
        WrongFile{"PinnedImage", "images:\n  pinned: [Busy/Box]\n",
                  "c.yaml:2: images.pinned[0]: 'Busy/Box' is wrong: must be an image reference"},
        WrongFile{"SignatureScope",
                  "images:\n  signature_policy: [{scope: busybox, rule: accept}]\n",
                  "c.yaml:2: images.signature_policy[0].scope: 'busybox' is wrong: must be HOST"},
        WrongFile{"SignatureScopeTwice",
                  "images: {signature_policy: [{scope: R.test, rule: accept}, "
                  "{scope: r.test, rule: reject}]}\n",
                  "another rule has r.test"},
        WrongFile{"SignatureRule", "images: {signature_policy: [{scope: '*', rule: trust}]}\n",
                  "must be one of accept, reject, signed"},
        WrongFile{"SignedWithoutKeys", "images: {signature_policy: [{scope: '*', rule: signed}]}\n",
                  "with keys where the rule is signed"},
        WrongFile{"KeysOfAnother",
                  "images: {signature_policy: [{scope: '*', rule: accept, keys: [/k]}]}\n",
                  "without keys where the rule is not signed"},
        WrongFile{"SignaturesOfTheRestUnsaid",
                  "images: {signature_policy: [{scope: r.test, rule: reject}]}\n",
                  "with a rule of scope '*'"},
        WrongFile{"HandlerName", "handlers: [{name: My_Handler, backend: ns}]\n",
                  "handlers[0].name: 'My_Handler' is wrong: must be a DNS label"},
        WrongFile{"HandlerTwice", "handlers: [{name: a, backend: ns}, {name: a, backend: vm}]\n",
                  "handlers[1].name: 'a' is wrong: must be a name of its own"},
        WrongFile{"HandlerWithoutName", "handlers: [{backend: ns}]\n",
                  "must be a mapping with a name"},
        WrongFile{"HandlerWithoutBackend", "handlers: [{name: a}]\n", "with a backend"},
        WrongFile{"Backend", "handlers: [{name: a, backend: fake}]\n", "must be one of ns, vm"},
        WrongFile{"MachineOfNs", "handlers: [{name: ns, backend: ns, machine: {cpus: 1}}]\n",
                  "without a machine"},
        WrongFile{"Size", "handlers: [{name: v, backend: vm, machine: {default_memory: 1G}}]\n",
                  "handlers[0].machine.default_memory: '1G' is wrong: must be a number of bytes"},
        WrongFile{"TooLittleMemory",
                  "handlers: [{name: v, backend: vm, machine: {default_memory: 1Mi}}]\n",
                  "from 64Mi"},
        WrongFile{"Cpus", "handlers: [{name: v, backend: vm, machine: {cpus: 0}}]\n",
                  "must be a number from 1 to 255"},
        WrongFile{"LargePool", "handlers: [{name: v, backend: vm, machine: {pool: 65}}]\n",
                  "handlers[0].machine.pool: '65' is wrong: must be a number from 0 to 64"},
        WrongFile{"WritableLimitOfVm",
                  "handlers: [{name: v, backend: vm, writable_layer_limit: 1Gi}]\n",
                  "the size of its writable_disk is the limit"},
        WrongFile{"TinyWritableLimit",
                  "handlers: [{name: n, backend: ns, writable_layer_limit: 1Ki}]\n", "from 1Mi"},
        WrongFile{"PoolOfBootedMachines",
                  "handlers: [{name: v, backend: vm, machine: {pool: 1, template: off}}]\n",
                  "without a pool where template is off"},
        WrongFile{
            "DefaultHandler", "root: /r\ndefault_handler: kata\n",
            "c.yaml:2: default_handler: 'kata' is wrong: must be one of the handlers: ns, vm"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace catamaran

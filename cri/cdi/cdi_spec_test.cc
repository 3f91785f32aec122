// One CDI file: what is read out of it in both formats, and what is refused.
#include "cri/cdi/cdi_spec.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

constexpr const char* kJson = R"({
  "cdiVersion": "0.7.0", "kind": "vendor.com/gpu", "annotations": {"who": "me"},
  "containerEdits": {"env": ["ALL=1"]},
  "devices": [{"name": "0", "containerEdits": {
    "env": ["ONE=1"],
    "deviceNodes": [{"path": "/dev/gpu0", "hostPath": "/dev/null", "permissions": "rw",
                     "fileMode": 432, "uid": 7},
                    {"path": "/dev/gpu1", "type": "u", "major": 195, "minor": 1,
                     "permissions": "none"}],
    "mounts": [{"hostPath": "/lib", "containerPath": "/opt/lib", "options": ["ro", "nosuid", "rbind"]},
               {"hostPath": "", "containerPath": "/scratch", "type": "tmpfs",
                "options": ["size=4m", "mode=0700"]}],
    "hooks": [{"hookName": "createContainer", "path": "/bin/hook", "args": ["hook", "x"],
               "env": ["A=b"], "timeout": 3}],
    "additionalGids": [0, 44]}}]})";

constexpr const char* kYaml = R"(
cdiVersion: 0.7.0
kind: vendor.com/gpu
annotations: {who: me}
containerEdits:
  env: [ALL=1]
devices:
- name: "0"
  containerEdits:
    env: ["ONE=1"]
    deviceNodes:
    - {path: /dev/gpu0, hostPath: /dev/null, permissions: rw, fileMode: 0660, uid: 7}
    - path: /dev/gpu1
      type: u
      major: 0xc3
      minor: 1
      permissions: none
    mounts:
    - {hostPath: /lib, containerPath: /opt/lib, options: [ro, nosuid, rbind]}
    - hostPath: ""
      containerPath: /scratch
      type: tmpfs
      options:
      - size=4m
      - mode=0700
    hooks:
    - hookName: createContainer
      path: /bin/hook
      args: [hook, x]
      env: [A=b]
      timeout: 3
    additionalGids: [0, 44]
)";

class EveryFormat : public testing::TestWithParam<CdiFormat> {};

TEST_P(EveryFormat, GivesTheSameEdits) {
  const auto spec =
      ParseCdiSpec(GetParam() == CdiFormat::kJson ? kJson : kYaml, GetParam(), "a.file");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->kind, "vendor.com/gpu");
  EXPECT_EQ(spec->edits.env, std::vector<std::string>{"ALL=1"});
  ASSERT_EQ(spec->devices.size(), 1u);
  EXPECT_EQ(spec->devices[0].name, "0");
  const CdiEdits& edits = spec->devices[0].edits;
  EXPECT_EQ(edits.env, std::vector<std::string>{"ONE=1"});
  ASSERT_EQ(edits.devices.size(), 2u);
  EXPECT_EQ(edits.devices[0].host_path(), "/dev/null");
  EXPECT_EQ(edits.devices[0].container_path(), "/dev/gpu0");
  EXPECT_EQ(edits.devices[0].permissions(), "rw");
  EXPECT_EQ(edits.devices[0].file_mode(), 0660u);
  EXPECT_EQ(edits.devices[0].owner_uid(), 7u);
  EXPECT_FALSE(edits.devices[0].has_owner_gid());
  EXPECT_TRUE(edits.devices[0].owned_by_user());
  EXPECT_EQ(edits.devices[1].type(), "c");
  EXPECT_EQ(edits.devices[1].major_number(), 195u);
  EXPECT_TRUE(edits.devices[1].no_access());
  ASSERT_EQ(edits.mounts.size(), 2u);
  EXPECT_EQ(edits.mounts[0].host_path(), "/lib");
  EXPECT_TRUE(edits.mounts[0].readonly());
  EXPECT_EQ(edits.mounts[0].options(0), "nosuid");
  EXPECT_EQ(edits.mounts[1].tmpfs().size_bytes(), 4u << 20);
  EXPECT_EQ(edits.mounts[1].tmpfs().mode(), 0700u);
  ASSERT_EQ(edits.hooks.create_container_size(), 1);
  EXPECT_EQ(edits.hooks.create_container(0).path(), "/bin/hook");
  EXPECT_EQ(edits.hooks.create_container(0).args_size(), 2);
  EXPECT_EQ(edits.hooks.create_container(0).env(0), "A=b");
  EXPECT_EQ(edits.hooks.create_container(0).timeout_seconds(), 3u);
  EXPECT_EQ(edits.additional_gids, std::vector<uint32_t>{44}) << "0 is none";
}

INSTANTIATE_TEST_SUITE_P(Formats, EveryFormat, testing::Values(CdiFormat::kJson, CdiFormat::kYaml),
                         [](const auto& info) {
                           return info.param == CdiFormat::kJson ? "Json" : "Yaml";
                         });

struct WrongFile {
  const char* name;
  std::string text;  // JSON
  const char* expected;
};

std::string File(const std::string& version, const std::string& edits, const std::string& more = "",
                 const std::string& kind = "v.com/c", const std::string& device = "d") {
  return "{\"cdiVersion\":\"" + version + "\",\"kind\":\"" + kind + "\"" + more +
         ",\"devices\":[{\"name\":\"" + device + "\",\"containerEdits\":{" + edits + "}}]}";
}
const std::string kEnv = R"("env":["A=b"])";

class WrongFiles : public testing::TestWithParam<WrongFile> {};

TEST_P(WrongFiles, AreRefusedByName) {
  const auto spec = ParseCdiSpec(GetParam().text, CdiFormat::kJson, "a.json");
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(spec.error().message.find("a.json"), 0u) << spec.error().message;
  EXPECT_NE(spec.error().message.find(GetParam().expected), std::string::npos)
      << spec.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Shape, WrongFiles,
    testing::Values(
        WrongFile{"NotJson", "{", "not JSON"},
        WrongFile{"NoVersion", R"({"kind":"v.com/c"})", "cdiVersion \"\""},
        WrongFile{"UnknownVersion", File("2.0.0", kEnv), "cdiVersion \"2.0.0\""},
        WrongFile{"UnknownField", File("1.0.0", kEnv, R"(,"colour":1)"), "\"colour\" is not known"},
        WrongFile{"UnknownEdit", File("1.0.0", R"("smell":[])"), "\"smell\" is not known"},
        WrongFile{"UnknownNodeField", File("1.0.0", R"("deviceNodes":[{"path":"/dev/a","x":1}])"),
                  "\"x\" is not known"},
        WrongFile{"NoDevices", R"({"cdiVersion":"1.0.0","kind":"v.com/c","devices":[]})",
                  "devices: there are none"},
        WrongFile{"NoEdits", File("1.0.0", ""), "device d has no containerEdits"},
        WrongFile{"KindWithoutClass", File("1.0.0", kEnv, "", "v.com"), "kind 'v.com'"},
        WrongFile{"KindBeginsWithDigit", File("1.0.0", kEnv, "", "1.com/c"), "kind '1.com/c'"},
        WrongFile{"LongClass", File("1.0.0", kEnv, "", "v.com/" + std::string(64, 'c')),
                  "kind 'v.com/c"},
        WrongFile{"DeviceName", File("1.0.0", kEnv, "", "v.com/c", "-a"), "name '-a'"},
        WrongFile{"SameDeviceTwice",
                  R"({"cdiVersion":"1.0.0","kind":"v.com/c","devices":[
                     {"name":"a","containerEdits":{"env":["A=b"]}},
                     {"name":"a","containerEdits":{"env":["A=b"]}}]})",
                  "device a is there twice"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Edits, WrongFiles,
    testing::Values(
        WrongFile{"Variable", File("1.0.0", R"("env":["AB"])"), "env: 'AB'"},
        WrongFile{"NodePath", File("1.0.0", R"("deviceNodes":[{"path":"dev/a"}])"),
                  ".path: 'dev/a'"},
        WrongFile{"NodeType", File("1.0.0", R"("deviceNodes":[{"path":"/dev/a","type":"x"}])"),
                  ".type: 'x'"},
        WrongFile{"Permissions",
                  File("1.0.0", R"("deviceNodes":[{"path":"/dev/a","permissions":"rx"}])"),
                  ".permissions: 'rx'"},
        WrongFile{"NegativeNumber", File("1.0.0", R"("deviceNodes":[{"path":"/dev/a","uid":-1}])"),
                  "\"uid\""},
        WrongFile{"MountOption",
                  File("1.0.0",
                       R"("mounts":[{"hostPath":"/a","containerPath":"/b","options":["sync"]}])"),
                  ".options: 'sync'"},
        WrongFile{
            "MountType",
            File("1.0.0", R"("mounts":[{"hostPath":"/a","containerPath":"/b","type":"nfs"}])"),
            ".type: 'nfs'"},
        WrongFile{"HookName", File("1.0.0", R"("hooks":[{"hookName":"later","path":"/a"}])"),
                  ".hookName: 'later'"},
        WrongFile{"HookPath", File("1.0.0", R"("hooks":[{"hookName":"poststop","path":"a"}])"),
                  ".path: 'a'"},
        WrongFile{"HookTimeout",
                  File("1.0.0", R"("hooks":[{"hookName":"poststop","path":"/a","timeout":0}])"),
                  ".timeout: '0'"},
        WrongFile{"Group", File("1.0.0", R"("additionalGids":[-4])"), "'-4'"},
        WrongFile{"RdtGroup", File("1.0.0", R"("intelRdt":{"closID":"../x"})"), "closID: '../x'"},
        WrongFile{"InterfaceName",
                  File("1.1.0", R"("netDevices":[{"hostInterfaceName":"a/b","name":"c"}])"),
                  ".hostInterfaceName: 'a/b'"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Versions, WrongFiles,
    testing::Values(
        WrongFile{
            "MountType",
            File("0.3.0", R"("mounts":[{"hostPath":"/a","containerPath":"/b","type":"bind"}])"),
            "needs cdiVersion 0.4.0"},
        WrongFile{"HostPath",
                  File("0.4.0", R"("deviceNodes":[{"path":"/dev/a","hostPath":"/dev/b"}])"),
                  "needs cdiVersion 0.5.0"},
        WrongFile{"DigitFirst", File("0.4.0", kEnv, "", "v.com/c", "0"), "needs cdiVersion 0.5.0"},
        WrongFile{"Annotations", File("0.5.0", kEnv, R"(,"annotations":{"a":"b"})"),
                  "needs cdiVersion 0.6.0"},
        WrongFile{"DotInClass", File("0.5.0", kEnv, "", "v.com/c.d"), "needs cdiVersion 0.6.0"},
        WrongFile{"Groups", File("0.6.0", R"("additionalGids":[1])"), "needs cdiVersion 0.7.0"},
        WrongFile{"Rdt", File("0.6.0", R"("intelRdt":{"closID":"a"})"), "needs cdiVersion 0.7.0"},
        WrongFile{"Schemata", File("1.0.0", R"("intelRdt":{"schemata":["L3:0=f"]})"),
                  "needs cdiVersion 1.1.0"},
        WrongFile{"NetDevices",
                  File("1.0.0", R"("netDevices":[{"hostInterfaceName":"a","name":"b"}])"),
                  "needs cdiVersion 1.1.0"}),
    [](const auto& info) { return info.param.name; });

TEST(CdiYaml, IsNoMoreThanJson) {
  for (const char* text : {"a: &x 1\nb: *x\n", "a: !!binary aa\n", "a: 1\n---\nb: 2\n",
                           "a: 1\na: 2\n", ", a", "? [a]\n: b\n", "a: [", "\t- a"}) {
    const auto spec = ParseCdiSpec(text, CdiFormat::kYaml, "a.yaml");
    ASSERT_FALSE(spec) << text;
    EXPECT_EQ(spec.error().message.find("a.yaml"), 0u) << spec.error().message;
  }
  const auto deep = ParseCdiSpec(std::string(100'000, '['), CdiFormat::kYaml, "a.yaml");
  EXPECT_FALSE(deep);
}

TEST(CdiName, HasVendorClassAndDevice) {
  const auto name = ParseCdiName("vendor.com/gpu=mig-1:0");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->kind, "vendor.com/gpu");
  EXPECT_EQ(name->device, "mig-1:0");
  for (const char* text : {"", "vendor.com/gpu", "gpu=0", "vendor.com/gpu=", "/gpu=0",
                           "vendor.com/=0", "vendor.com/gpu=a b", "vendor.com/gpu=0,x/y=1"})
    EXPECT_FALSE(ParseCdiName(text)) << text;
}

}  // namespace
}  // namespace catamaran

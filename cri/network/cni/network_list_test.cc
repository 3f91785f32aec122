#include "cri/network/cni/network_list.h"

#include <gtest/gtest.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr char kBridge[] = R"({
  "cniVersion": "1.0.0", "name": "pods", "disableCheck": true,
  "plugins": [
    {"type": "bridge", "ipam": {"type": "host-local"}, "unknown": [1, {"kept": true}]},
    {"type": "portmap", "capabilities": {"portMappings": true, "aliases": false}}
  ]})";

TEST(NetworkList, ReadsAList) {
  const auto list = ParseNetworkList(kBridge, "net.conflist");
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->name, "pods");
  EXPECT_EQ(list->version.Text(), "1.0.0");
  EXPECT_TRUE(list->disable_check);
  EXPECT_FALSE(list->disable_gc);
  ASSERT_EQ(list->plugins.size(), 2u);
  EXPECT_EQ(list->plugins[0].type, "bridge");
  EXPECT_EQ(list->plugins[0].config["unknown"][1]["kept"], true) << "unknown keys are kept";
  EXPECT_TRUE(list->Declares("portMappings"));
  EXPECT_FALSE(list->Declares("aliases")) << "a capability that is false is none";
}

TEST(NetworkList, IsTheSameAfterItsOwnText) {
  const auto list = ParseNetworkList(kBridge, "a").value();
  const auto again = ParseNetworkList(list.Text(), "b");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->Text(), list.Text());
}

TEST(NetworkList, TakesASinglePluginsFileAsAListOfOne) {
  const auto list = ParseNetworkList(R"({"name": "one", "type": "ptp", "mtu": 1400})", "one.conf");
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->version.Text(), "0.1.0") << "without a version: the first one";
  ASSERT_EQ(list->plugins.size(), 1u);
  EXPECT_EQ(list->plugins[0].config["mtu"], 1400);
}

TEST(NetworkList, TakesTheHighestKnownOfSeveralVersions) {
  const auto version = [](const std::string& keys) {
    auto list = ParseNetworkList(R"({"name": "n", "plugins": [{"type": "t"}], )" + keys + "}", "f");
    return list ? list->version.Text() : list.error().message;
  };
  EXPECT_EQ(version(R"("cniVersion": "0.4.0", "cniVersions": ["0.3.1", "1.1.0", "9.9.9"])"),
            "1.1.0");
  EXPECT_EQ(version(R"("cniVersion": "1.0.0", "cniVersions": ["0.4.0"])"), "1.0.0");
  EXPECT_EQ(version(R"("cniVersion": "2.0.0", "cniVersions": ["0.4.0"])"), "0.4.0");
}

struct WrongList {
  const char* name;
  std::string text;
  const char* expected;
};
class WrongNetworkList : public testing::TestWithParam<WrongList> {};

TEST_P(WrongNetworkList, IsRefusedWithFileKeyAndRemedy) {
  const auto list = ParseNetworkList(GetParam().text, "/etc/cni/net.d/10-x.conflist");
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(list.error().message.find("/etc/cni/net.d/10-x.conflist"), std::string::npos)
      << list.error().message;
  EXPECT_NE(list.error().message.find(GetParam().expected), std::string::npos)
      << list.error().message;
  EXPECT_LT(list.error().message.size(), 1000u);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, WrongNetworkList,
    testing::Values(
        WrongList{"Empty", "", ":1: not JSON"},
        WrongList{"NotJson", "{\n\"name\": \"x\",\n}", ":3: not JSON"},
        WrongList{"NotUtf8", "{\"name\": \"\xff\xfe\"}", "not JSON"},
        WrongList{"HugeNumber", R"({"name": "n", "type": "t", "mtu": 1e999})", "not JSON"},
        WrongList{"List", "[]", "must be a JSON object, not array"},
        WrongList{"TooDeep",
                  "{\"a\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}",
                  "nested deeper than 64"},
        WrongList{"NoName", R"({"cniVersion": "1.0.0", "plugins": [{"type": "t"}]})",
                  "name: null is wrong: must be a name of letters"},
        WrongList{"NameWithSlash", R"({"name": "../x", "plugins": [{"type": "t"}]})",
                  "name: \"../x\" is wrong"},
        WrongList{"NameIsNumber", R"({"name": 5, "plugins": [{"type": "t"}]})",
                  "name: 5 is wrong: must be a string"},
        WrongList{"Version", R"({"name": "n", "cniVersion": "1.x", "plugins": []})",
                  "cniVersion: \"1.x\" is wrong: must be 0.1.0"},
        WrongList{"FutureVersion", R"({"name": "n", "cniVersion": "2.0.0", "plugins": []})",
                  "cniVersion: \"2.0.0\" is wrong"},
        WrongList{"HugeVersion",
                  R"({"name": "n", "cniVersion": "99999999999999999999.0.0", "plugins": []})",
                  "cniVersion: "},
        WrongList{"Versions", R"({"name": "n", "cniVersions": "1.0.0", "plugins": []})",
                  "cniVersions: \"1.0.0\" is wrong: must be a list"},
        WrongList{"VersionInVersions", R"({"name": "n", "cniVersions": [1], "plugins": []})",
                  "cniVersions[0]: 1 is wrong"},
        WrongList{"NoPlugins", R"({"name": "n", "plugins": []})", "plugins: [] is wrong"},
        WrongList{"PluginsObject", R"({"name": "n", "plugins": {}})", "plugins: {} is wrong"},
        WrongList{"PluginIsText", R"({"name": "n", "plugins": ["bridge"]})",
                  "plugins[0]: \"bridge\" is wrong: must be a plugin's configuration"},
        WrongList{"NoType", R"({"name": "n", "plugins": [{"type": "t"}, {}]})",
                  "plugins[1].type: null is wrong: must be the file name of a plugin"},
        WrongList{"TypeWithSlash", R"({"name": "n", "plugins": [{"type": "../sh"}]})",
                  "plugins[0].type: \"../sh\" is wrong"},
        WrongList{"TypeDots", R"({"name": "n", "type": ".."})", "type: \"..\" is wrong"},
        WrongList{"TypeWithNul", R"({"name": "n", "type": "a\u0000b"})", "type: "},
        WrongList{"Capabilities", R"({"name": "n", "type": "t", "capabilities": ["portMappings"]})",
                  "capabilities: [\"portMappings\"] is wrong"},
        WrongList{"Capability", R"({"name": "n", "type": "t", "capabilities": {"dns": "yes"}})",
                  "capabilities.dns: \"yes\" is wrong: must be true or false"},
        WrongList{"DisableCheck", R"({"name": "n", "type": "t", "disableCheck": 1})",
                  "disableCheck: 1 is wrong: must be true or false"},
        WrongList{"ChainBeforeChains",
                  R"({"name": "n", "cniVersion": "0.2.0", "plugins": [{"type":"a"},{"type":"b"}]})",
                  "cniVersion: \"0.2.0\" is wrong: must be 0.3.0 or higher"}),
    [](const auto& row) { return row.param.name; });

class CniConfigurationTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = HostPath(std::filesystem::path(testing::TempDir()) /
                       ("cni_conf_" + std::to_string(getpid())));
    ASSERT_TRUE(RemoveTree(folder_.value()));
    ASSERT_TRUE(MakeDirectories(folder_.value()));
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(folder_.value())); }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(MakeDirectories((folder_ / name).value().parent_path()));
    ASSERT_TRUE(ReplaceFile((folder_ / name).value(), text, 0600, Durability::kProcessCrash));
  }
  HostPath folder_;
};

TEST_F(CniConfigurationTest, IsTheFirstValidFileByName) {
  Write("20-b.conflist", R"({"name": "b", "plugins": [{"type": "t"}]})");
  Write("30-c.conf", R"({"name": "c", "type": "t"})");
  Write("10-a.conflist", R"({"name": "a")");
  Write("00-other.txt", R"({"name": "other", "type": "t"})");
  const auto configuration = LoadCniConfiguration(folder_);
  ASSERT_NE(configuration.network, nullptr);
  EXPECT_EQ(configuration.network->name, "b");
  EXPECT_EQ(configuration.network->source, (folder_ / "20-b.conflist").string());
  ASSERT_EQ(configuration.problems.size(), 1u);
  EXPECT_NE(configuration.problems[0].find("10-a.conflist:1: not JSON"), std::string::npos);
}

TEST_F(CniConfigurationTest, IsNoneWithoutFilesOrFolder) {
  EXPECT_EQ(LoadCniConfiguration(folder_).network, nullptr);
  const auto absent = LoadCniConfiguration(folder_ / "absent");
  EXPECT_EQ(absent.network, nullptr);
  EXPECT_TRUE(absent.problems.empty());
}

TEST_F(CniConfigurationTest, RefusesAFileThatIsTooLarge) {
  Write("10.conf", std::string((1 << 20) + 1, ' '));
  const auto configuration = LoadCniConfiguration(folder_);
  EXPECT_EQ(configuration.network, nullptr);
  EXPECT_EQ(configuration.problems.size(), 1u);
}

TEST_F(CniConfigurationTest, TakesPluginsFromTheNetworksFolderWhereItSaysSo) {
  Write("10.conflist", R"({"name": "n", "cniVersion": "1.1.0", "loadOnlyInlinedPlugins": false,
                           "plugins": [{"type": "first"}]})");
  Write("n/20.conf", R"({"type": "third"})");
  Write("n/10.conf", R"({"type": "second"})");
  Write("n/10.json", R"({"type": "not this"})");
  const auto configuration = LoadCniConfiguration(folder_);
  ASSERT_NE(configuration.network, nullptr);
  std::string types;
  for (const auto& plugin : configuration.network->plugins) types += plugin.type + " ";
  EXPECT_EQ(types, "first second third ");
  Write("n/15.conf", R"({"type": "a/b"})");
  EXPECT_NE(LoadCniConfiguration(folder_).problems.at(0).find("n/15.conf: type: \"a/b\""),
            std::string::npos);
}

TEST(CniExample, IsANetworkOfFourPlugins) {
  const auto configuration = LoadCniConfiguration(HostPath(CATAMARAN_MANIFESTS "/cni"));
  EXPECT_EQ(configuration.problems, std::vector<std::string>{});
  ASSERT_NE(configuration.network, nullptr);
  EXPECT_EQ(configuration.network->plugins.size(), 4u);
  EXPECT_TRUE(configuration.network->Declares("portMappings"));
}

}  // namespace
}  // namespace catamaran

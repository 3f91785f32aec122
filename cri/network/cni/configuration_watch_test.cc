#include "cri/network/cni/configuration_watch.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cri/network/cni/testing/recorder.h"

namespace catamaran {
namespace {

using nlohmann::json;

class ConfigurationWatchTest : public testing::Test {
 protected:
  ConfigurationWatchTest()
      : base_(std::filesystem::path(testing::TempDir()) / ("watch_" + std::to_string(getpid()))),
        recorder_(base_ / "recorder"),
        runner_({HostPath(base_ / "bin")}) {}
  ~ConfigurationWatchTest() override {
    watch_.reset();
    EXPECT_TRUE(RemoveTree(base_));
  }

  void Start(std::chrono::milliseconds interval = std::chrono::hours(1)) {
    auto started = ConfigurationWatch::Start(
        {.folder = HostPath(base_ / "etc/cni/net.d"), .status_interval = interval}, runner_);
    ASSERT_TRUE(started) << started.error().message;
    watch_ = std::move(*started);
  }
  void InstallPlugin() {
    ASSERT_TRUE(MakeDirectories(base_ / "bin"));
    std::filesystem::copy(Recorder::ProgramFolder().value() / "recording_plugin", base_ / "bin");
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(MakeDirectories((base_ / "etc/cni/net.d" / name).parent_path()));
    ASSERT_TRUE(ReplaceFile(base_ / "etc/cni/net.d" / name, text, 0600, Durability::kProcessCrash));
  }
  std::string List(const std::string& name, const std::string& version = "1.0.0") {
    return json({{"cniVersion", version}, {"name", name}, {"plugins", {recorder_.Config()}}})
        .dump();
  }
  ::testing::AssertionResult Becomes(bool ready, const std::string& message) {
    const bool done = Eventually([&] {
      const auto now = watch_->readiness();
      return now.ready == ready && now.message.find(message) != std::string::npos;
    });
    return (done ? ::testing::AssertionSuccess() : ::testing::AssertionFailure())
           << "ready " << watch_->readiness().ready << ": " << watch_->readiness().message;
  }

  const std::filesystem::path base_;
  Recorder recorder_;
  const PluginRunner runner_;
  std::unique_ptr<ConfigurationWatch> watch_;
};

TEST_F(ConfigurationWatchTest, FollowsTheFolderFromBeforeItIsThere) {
  InstallPlugin();
  Start();
  EXPECT_FALSE(watch_->readiness().ready);
  EXPECT_EQ(watch_->readiness().reason, "NetworkPluginNotReady");
  EXPECT_NE(watch_->readiness().message.find("install a network add-on"), std::string::npos)
      << watch_->readiness().message;
  Write("20-b.conflist", List("b"));
  EXPECT_TRUE(Becomes(true, ""));
  EXPECT_EQ(watch_->network()->name, "b");
  Write("10-a.conflist", List("a"));
  EXPECT_TRUE(Eventually([&] { return watch_->network()->name == "a"; })) << "the first by name";
  ASSERT_TRUE(RemoveIfExists(base_ / "etc/cni/net.d/10-a.conflist"));
  EXPECT_TRUE(Eventually([&] { return watch_->network()->name == "b"; }));
  // In place, as an editor or `cat >` does.
  std::ofstream(base_ / "etc/cni/net.d/20-b.conflist") << "{\"name\": ";
  EXPECT_TRUE(Becomes(false, "20-b.conflist:1: not JSON"));
  EXPECT_EQ(watch_->network(), nullptr);
  ASSERT_TRUE(RemoveTree(base_ / "etc"));
  EXPECT_TRUE(Becomes(false, "no CNI configuration"));
  Write("20-b.conflist", List("again"));
  EXPECT_TRUE(Becomes(true, ""));
}

TEST_F(ConfigurationWatchTest, NamesAMissingPluginUntilItIsInstalled) {
  Write("10.conflist", List("n"));
  Start();
  EXPECT_TRUE(Becomes(false, "the plugin recording_plugin is in none of"));
  EXPECT_NE(watch_->readiness().message.find("cni.bin_dirs"), std::string::npos);
  InstallPlugin();
  EXPECT_TRUE(Becomes(true, ""));
}

TEST_F(ConfigurationWatchTest, FollowsTheFolderOfThePluginsThatAreNotInTheList) {
  InstallPlugin();
  json list = json::parse(List("n", "1.0.0"));
  list["loadOnlyInlinedPlugins"] = false;
  Write("10.conflist", list.dump());
  Start();
  EXPECT_TRUE(Becomes(true, ""));
  Write("n/10.conf", R"({"type": "more"})");
  EXPECT_TRUE(Becomes(false, "the plugin more"));
}

TEST_F(ConfigurationWatchTest, AsksPluginsOfOneDotOneAgainAndAgain) {
  InstallPlugin();
  recorder_.Plan("STATUS", "always error 50 the agent is not up yet");
  Write("10.conflist", List("n", "1.1.0"));
  Start(std::chrono::milliseconds(50));
  EXPECT_TRUE(Becomes(false, "code 50: the agent is not up yet"));
  EXPECT_NE(watch_->network(), nullptr) << "pods that insist may try";
  recorder_.Plan("STATUS", "");
  EXPECT_TRUE(Becomes(true, ""));
  recorder_.Plan("STATUS", "always silent");
  EXPECT_TRUE(Becomes(false, "only on stderr"));
}

TEST_F(ConfigurationWatchTest, IsNotReadyBeforeStatusWasAnswered) {
  InstallPlugin();
  recorder_.Plan("STATUS", "wait " + (base_ / "go").string());
  Write("10.conflist", List("n", "1.1.0"));
  Start();
  EXPECT_FALSE(watch_->readiness().ready);
  EXPECT_NE(watch_->readiness().message.find("STATUS"), std::string::npos);
  std::ofstream(base_ / "go") << "x";
  EXPECT_TRUE(Becomes(true, ""));
}

TEST_F(ConfigurationWatchTest, AsksNothingOfOlderPlugins) {
  InstallPlugin();
  Write("10.conflist", List("n", "1.0.0"));
  Start(std::chrono::milliseconds(1));
  EXPECT_TRUE(Becomes(true, ""));
  usleep(50'000);
  EXPECT_EQ(recorder_.Commands(), "");
}

}  // namespace
}  // namespace catamaran

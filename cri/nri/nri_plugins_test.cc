// How plugins come and go, and what becomes of those that do not behave.
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>

#include "cri/nri/testing/nri_plugins_lab.h"
#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(NriPluginsTest, APluginJoinsAndIsTold) {
  state_.add_pods()->set_id("p");
  state_.add_containers()->set_id("c0");
  Start();
  auto plugin = Connect({});
  EXPECT_EQ(plugin->synchronized().pods(0).id(), "p");
  EXPECT_EQ(plugin->synchronized().containers(0).id(), "c0");
  ASSERT_TRUE(Tell(nri::START_CONTAINER));
  ASSERT_TRUE(Tell(nri::POST_START_CONTAINER));
  EXPECT_EQ(plugin->MethodsOf("c"),
            (std::vector<std::string>{"StartContainer", "PostStartContainer"}));
}

TEST_F(NriPluginsTest, OnlyRootMayEnterTheSocketsFolder) {
  Start();
  struct stat info;
  ASSERT_EQ(stat(config_.socket.value().parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(config_.socket.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  plugins_.reset();
  EXPECT_FALSE(Exists(config_.socket.value()));
}

TEST_F(NriPluginsTest, AFolderThatOthersWriteToIsRefused) {
  const std::string folder = config_.socket.value().parent_path();
  ASSERT_TRUE(MakeDirectories(folder));
  ASSERT_EQ(chmod(folder.c_str(), 0777), 0);
  NriPlugins plugins(config_, {});
  const auto started = plugins.Start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("nri.socket"), std::string::npos);
}

TEST_F(NriPluginsTest, ASocketThatSomebodyServesIsTheirsUntilTheyHaveGone) {
  NriPlugins other(config_, {.notice = [](const std::string&) {}});
  ASSERT_TRUE(other.Start());
  Start();
  EXPECT_TRUE(WaitForNotice("another process listens on"));
  EXPECT_FALSE(plugins_->any());
  other.Stop();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!Exists(config_.socket.value()) && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto plugin = Connect({});
  EXPECT_TRUE(WaitForNotice("has joined"));
}

TEST_F(NriPluginsTest, WaitingForASocketEndsWithTheDaemon) {
  NriPlugins other(config_, {.notice = [](const std::string&) {}});
  ASSERT_TRUE(other.Start());
  Start();
  plugins_->Stop();
  EXPECT_TRUE(Exists(config_.socket.value())) << "it is the other's";
}

TEST_F(NriPluginsTest, OnlyWhatItSubscribedTo) {
  Start();
  auto plugin = Connect({.events = BitOf(nri::STOP_POD_SANDBOX)});
  ASSERT_TRUE(Tell(nri::START_CONTAINER));
  ASSERT_TRUE(Tell(nri::STOP_POD_SANDBOX));
  ASSERT_EQ(plugin->events().size(), 1u);
  EXPECT_EQ(plugin->events()[0].method, "StopPodSandbox");
}

TEST_F(NriPluginsTest, InTheOrderOfTheirIndices) {
  Start();
  std::mutex mutex;
  std::string order;
  const auto options = [&](const std::string& index) {
    return TestPlugin::Options{
        .index = index,
        .answer = [&, index](const std::string& method, const std::string&) -> Result<std::string> {
          std::lock_guard lock(mutex);
          if (method == "RunPodSandbox") order += index + " ";
          return std::string();
        }};
  };
  auto third = Connect(options("90")), first = Connect(options("00")),
       second = Connect(options("10"));
  ASSERT_TRUE(Tell(nri::RUN_POD_SANDBOX));
  EXPECT_EQ(order, "00 10 90 ");
}

TEST_F(NriPluginsTest, ARefusalIsAnErrorOfWhatMayBeRefusedOnly) {
  Start();
  auto plugin =
      Connect({.answer = [](const std::string& method, const std::string&) -> Result<std::string> {
        if (method == "Configure" || method == "Synchronize") return std::string();
        return Fail(ErrorCode::kUnknown, "not with me");
      }});
  for (nri::Event event : {nri::RUN_POD_SANDBOX, nri::START_CONTAINER}) {
    const auto told = Tell(event);
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().message, "NRI plugin 10-test: not with me");
  }
  EXPECT_FALSE(Create());
  for (nri::Event event : {nri::STOP_POD_SANDBOX, nri::REMOVE_POD_SANDBOX, nri::REMOVE_CONTAINER,
                           nri::POST_CREATE_CONTAINER, nri::POST_START_CONTAINER})
    EXPECT_TRUE(Tell(event));
  EXPECT_NE(notices().find("not with me"), std::string::npos);
  EXPECT_FALSE(plugin->closed());
}

TEST_F(NriPluginsTest, OneThatHangsIsDroppedAndTheRestGoOn) {
  config_.request_timeout = milliseconds(100);
  Start();
  std::atomic<bool> go = false;
  auto hanging =
      Connect({.index = "00",
               .answer = [&](const std::string& method, const std::string&) -> Result<std::string> {
                 while (method == "RunPodSandbox" && !go)
                   std::this_thread::sleep_for(milliseconds(1));
                 return std::string();
               }});
  auto other = Connect({.index = "10"});
  EXPECT_TRUE(Tell(nri::RUN_POD_SANDBOX));
  EXPECT_TRUE(hanging->WaitUntilClosed(Soon()));
  EXPECT_TRUE(WaitForNotice("NRI plugin 00-test is dropped: RunPodSandbox"));
  go = true;
  EXPECT_TRUE(Tell(nri::STOP_POD_SANDBOX));
  EXPECT_EQ(other->events().size(), 2u);
  EXPECT_EQ(hanging->events().size(), 1u);
}

TEST_F(NriPluginsTest, OneThatGoesIsForgotten) {
  Start();
  auto plugin = Connect({});
  EXPECT_TRUE(plugins_->any());
  // One that goes while it joins is told of in other words, before it is forgotten.
  EXPECT_TRUE(WaitForNotice("has joined"));
  plugin->Close();
  EXPECT_TRUE(WaitForNotice("has gone"));
  EXPECT_FALSE(plugins_->any());
  EXPECT_TRUE(Tell(nri::RUN_POD_SANDBOX));
}

TEST_F(NriPluginsTest, OneThatDoesNotRegisterIsDropped) {
  config_.registration_timeout = milliseconds(50);
  Start();
  auto silent = TestPlugin::Connect(config_.socket.string(), {.registers = false});
  ASSERT_TRUE(silent);
  EXPECT_TRUE((*silent)->WaitUntilClosed(Soon()));
  EXPECT_TRUE(WaitForNotice("did not register"));
}

TEST_F(NriPluginsTest, WrongNamesAreRefused) {
  Start();
  for (const auto& [index, name] : {std::pair<std::string, std::string>{"1", "x"},
                                    {"ab", "x"},
                                    {"10", ""},
                                    {"10", "a/b"},
                                    {"10", std::string(300, 'x')}}) {
    const auto plugin =
        TestPlugin::Connect(config_.socket.string(), {.index = index, .name = name});
    ASSERT_FALSE(plugin) << index << "-" << name;
    EXPECT_EQ(plugin.error().code, ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace catamaran

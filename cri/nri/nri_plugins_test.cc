#include "cri/nri/nri_plugins.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "cri/nri/testing/test_plugin.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Deadline Soon() { return Deadline::After(seconds(30)); }

// A node whose state the test says, and the plugins of it.
class NriPluginsTest : public ::testing::Test {
 protected:
  NriPluginsTest()
      : folder_(std::filesystem::path(testing::TempDir()) / fmt::format("nri.{}", getpid())) {
    EXPECT_TRUE(MakeDirectories(folder_));
    config_.socket = HostPath(folder_) / "nri/nri.sock";
    config_.plugin_dir = HostPath(folder_) / "plugins";
    config_.config_dir = HostPath(folder_) / "conf.d";
    config_.request_timeout = seconds(20);
    config_.registration_timeout = seconds(20);
  }
  ~NriPluginsTest() override {
    plugins_.reset();
    EXPECT_TRUE(RemoveTree(folder_));
  }

  void Start() {
    plugins_ = std::make_unique<NriPlugins>(
        config_, NriHost{.snapshot =
                             [this] {
                               std::lock_guard lock(mutex_);
                               return state_;
                             },
                         .update =
                             [this](const auto& updates, const auto& evictions) {
                               std::lock_guard lock(mutex_);
                               updated_.insert(updated_.end(), updates.begin(), updates.end());
                               evicted_ += static_cast<int>(evictions.size());
                               return std::vector<nri::ContainerUpdate>();
                             },
                         .notice =
                             [this](const std::string& text) {
                               std::lock_guard lock(mutex_);
                               notices_ += text + "\n";
                             }});
    const auto started = plugins_->Start();
    ASSERT_TRUE(started) << started.error().message;
  }

  std::unique_ptr<TestPlugin> Connect(TestPlugin::Options options) {
    auto plugin = TestPlugin::Connect(config_.socket.string(), std::move(options));
    EXPECT_TRUE(plugin) << plugin.error().message;
    if (!plugin) return nullptr;
    EXPECT_TRUE((*plugin)->WaitUntilReady(Soon())) << notices();
    return *std::move(plugin);
  }

  Status Tell(nri::Event event, const std::string& container = "c") {
    return plugins_->Tell(
        event, nullptr,
        [&] {
          nri::EventRequest request;
          request.mutable_pod()->set_id("p");
          request.mutable_container()->set_id(container);
          return request;
        },
        Soon());
  }
  Result<PluginAnswers> Create() {
    nri::EventRequest request;
    request.mutable_pod()->set_id("p");
    request.mutable_container()->set_id("c");
    return plugins_->CreateContainer(nullptr, request, Soon());
  }

  std::string notices() {
    std::lock_guard lock(mutex_);
    return notices_;
  }
  bool WaitForNotice(const std::string& part) {
    const Deadline deadline = Soon();
    while (!deadline.expired()) {
      if (notices().find(part) != std::string::npos) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }

  const std::filesystem::path folder_;
  NriConfig config_;
  std::mutex mutex_;
  nri::SynchronizeRequest state_;
  std::vector<nri::ContainerUpdate> updated_;
  int evicted_ = 0;
  std::string notices_;
  std::unique_ptr<NriPlugins> plugins_;
};

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

TEST_F(NriPluginsTest, ASocketThatSomebodyServesIsRefused) {
  Start();
  NriPlugins second(config_, {});
  const auto started = second.Start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("nri.socket"), std::string::npos);
  EXPECT_TRUE(Connect({}));
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

TEST_F(NriPluginsTest, OlderPluginsHaveStateChange) {
  Start();
  auto plugin =
      Connect({.answer = [](const std::string& method, const std::string&) -> Result<std::string> {
        if (method == "StateChange" || method == "Configure" || method == "Synchronize" ||
            method == "CreateContainer")
          return std::string();
        return Fail(ErrorCode::kUnimplemented, "unknown method");
      }});
  ASSERT_TRUE(Tell(nri::START_CONTAINER));
  ASSERT_TRUE(Tell(nri::START_CONTAINER));
  std::vector<std::string> methods;
  for (const auto& event : plugin->events()) methods.push_back(event.method);
  EXPECT_EQ(methods, (std::vector<std::string>{"StartContainer", "StateChange", "StateChange"}));
  nri::StateChangeEvent change;
  ASSERT_TRUE(change.ParseFromString(plugin->events()[1].payload));
  EXPECT_EQ(change.event(), nri::START_CONTAINER);
  EXPECT_EQ(change.container().id(), "c");
}

TEST_F(NriPluginsTest, AStateThatIsTooLongComesInParts) {
  for (int i = 0; i < 40; ++i) {
    state_.add_pods()->set_id(std::to_string(i) + std::string(100 << 10, 'p'));
    state_.add_containers()->set_id(std::to_string(i) + std::string(100 << 10, 'c'));
  }
  Start();
  auto plugin = Connect({});
  EXPECT_GT(plugin->synchronize_parts(), 2);
  EXPECT_EQ(plugin->synchronized().SerializeAsString(), state_.SerializeAsString());
}

// Events wait until it has the state of the node, and it is told each thing once.
TEST_F(NriPluginsTest, NothingIsMissedWhileOneJoins) {
  Start();
  std::atomic<bool> in_synchronize = false, go = false;
  auto connecting = TestPlugin::Connect(
      config_.socket.string(),
      {.answer = [&](const std::string& method, const std::string&) -> Result<std::string> {
        if (method == "Synchronize") {
          in_synchronize = true;
          while (!go) std::this_thread::sleep_for(milliseconds(1));
        }
        return std::string();
      }});
  ASSERT_TRUE(connecting);
  while (!in_synchronize) std::this_thread::sleep_for(milliseconds(1));
  std::atomic<bool> told = false;
  std::thread event([&] {
    EXPECT_TRUE(Tell(nri::START_CONTAINER));
    told = true;
  });
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_FALSE(told);
  EXPECT_TRUE((*connecting)->events().empty());
  go = true;
  event.join();
  EXPECT_EQ((*connecting)->events().size(), 1u);
}

TEST_F(NriPluginsTest, AClaimIsMadeOnceAndWithoutOneNobodyIsTold) {
  Start();
  auto plugin = Connect({});
  ASSERT_TRUE(plugins_->Tell(
      nri::RUN_POD_SANDBOX, [] { return false; }, [] { return nri::EventRequest(); }, Soon()));
  EXPECT_TRUE(plugin->events().empty());
}

TEST_F(NriPluginsTest, EachSeesWhatThoseBeforeItAsked) {
  Start();
  const auto adds = [](const std::string& index) {
    return TestPlugin::Options{
        .index = index,
        .answer = [index](const std::string& method, const std::string&) -> Result<std::string> {
          if (method != "CreateContainer") return std::string();
          nri::CreateContainerResponse response;
          auto* variable = response.mutable_adjust()->add_env();
          variable->set_key("FROM_" + index);
          variable->set_value("1");
          return response.SerializeAsString();
        }};
  };
  auto first = Connect(adds("00")), second = Connect(adds("01"));
  const auto answers = Create();
  ASSERT_TRUE(answers) << answers.error().message;
  EXPECT_EQ(answers->adjustment().env_size(), 2);
  EXPECT_EQ(first->events()[0].request.container().env_size(), 0);
  ASSERT_EQ(second->events()[0].request.container().env_size(), 1);
  EXPECT_EQ(second->events()[0].request.container().env(0), "FROM_00=1");
}

TEST_F(NriPluginsTest, OneThatValidatesSeesAllAndMayReject) {
  Start();
  std::atomic<bool> reject = false;
  auto adjusts =
      Connect({.index = "00",
               .events = BitOf(nri::CREATE_CONTAINER),
               .answer = [](const std::string& method, const std::string&) -> Result<std::string> {
                 if (method != "CreateContainer") return std::string();
                 nri::CreateContainerResponse response;
                 response.mutable_adjust()->add_args("x");
                 return response.SerializeAsString();
               }});
  auto validates =
      Connect({.index = "99",
               .events = BitOf(nri::VALIDATE_CONTAINER_ADJUSTMENT),
               .answer = [&](const std::string& method, const std::string&) -> Result<std::string> {
                 if (method != "ValidateContainerAdjustment" || !reject) return std::string();
                 nri::ValidateContainerAdjustmentResponse response;
                 response.set_reject(true);
                 response.set_reason("bad taste");
                 return response.SerializeAsString();
               }});
  ASSERT_TRUE(Create());
  nri::ValidateContainerAdjustmentRequest request;
  ASSERT_TRUE(request.ParseFromString(validates->events()[0].payload));
  EXPECT_EQ(request.adjust().args(0), "x");
  EXPECT_EQ(request.owners().owners().at("c").simple().at(nri::Args), "00-test");
  ASSERT_EQ(request.plugins_size(), 1);
  EXPECT_EQ(request.plugins(0).index(), "00");
  reject = true;
  const auto rejected = Create();
  ASSERT_FALSE(rejected);
  EXPECT_NE(rejected.error().message.find("bad taste"), std::string::npos);
}

TEST_F(NriPluginsTest, OneThatJoinedAfterAContainerEndedIsNotToldOfIt) {
  auto* stopped = state_.add_containers();
  stopped->set_id("c");
  stopped->set_state(nri::CONTAINER_STOPPED);
  Start();
  auto plugin = Connect({});
  const auto stop = [&](const std::string& id) {
    plugins_->StopContainer(
        nullptr,
        [&] {
          nri::EventRequest request;
          request.mutable_container()->set_id(id);
          return request;
        },
        Soon());
  };
  stop("c");
  stop("d");
  EXPECT_TRUE(plugin->MethodsOf("c").empty());
  EXPECT_EQ(plugin->MethodsOf("d"), std::vector<std::string>{"StopContainer"});
}

TEST_F(NriPluginsTest, UnsolicitedUpdatesReachTheNode) {
  Start();
  auto plugin = Connect({});
  nri::UpdateContainersRequest request;
  request.add_update()->set_container_id("c");
  request.add_evict()->set_container_id("d");
  const auto response = plugin->Update(request, Soon());
  ASSERT_TRUE(response) << response.error().message;
  ASSERT_EQ(updated_.size(), 1u);
  EXPECT_EQ(updated_[0].container_id(), "c");
  EXPECT_EQ(evicted_, 1);
}

TEST_F(NriPluginsTest, InstalledPluginsThatCannotRunAreNoticed) {
  ASSERT_TRUE(MakeDirectories(config_.plugin_dir.value()));
  const auto install = [&](const char* name, const char* text, mode_t mode) {
    ASSERT_TRUE(
        ReplaceFile((config_.plugin_dir / name).value(), text, mode, Durability::kProcessCrash));
    ASSERT_EQ(chmod((config_.plugin_dir / name).c_str(), mode), 0);
  };
  install("10-goes", "#!/bin/sh\nexit 1\n", 0755);
  install("README", "no plugin", 0644);
  install("misnamed", "#!/bin/sh\nexit 1\n", 0755);
  Start();
  EXPECT_NE(notices().find("10-goes: it went before it registered"), std::string::npos)
      << notices();
  EXPECT_NE(notices().find("misnamed is no NRI plugin"), std::string::npos) << notices();
  EXPECT_EQ(notices().find("README"), std::string::npos);
}

TEST_F(NriPluginsTest, WhereDisabledThereIsNoSocket) {
  config_.enabled = false;
  Start();
  EXPECT_FALSE(Exists(config_.socket.value()));
  EXPECT_TRUE(Tell(nri::RUN_POD_SANDBOX));
}

}  // namespace
}  // namespace catamaran

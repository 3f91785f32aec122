// What plugins are told and shown, and what they may ask for.
#include <atomic>

#include "cri/nri/testing/nri_plugins_lab.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

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

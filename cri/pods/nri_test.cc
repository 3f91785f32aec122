// NRI plugins and the life of pods: who is told what, when, and what a refusal leaves.
#include <atomic>
#include <thread>

#include "cri/nri/nri_plugins.h"
#include "cri/nri/testing/test_plugin.h"
#include "cri/pods/testing/pods_test.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Methods = std::vector<std::string>;

Deadline Soon() { return Deadline::After(seconds(30)); }

class NriPods : public PodsTest {
 protected:
  void SetUp() override {
    PodsTest::SetUp();
    StartNri();
  }
  void TearDown() override {
    for (auto& plugin : plugins_) plugin->Close();
    PodsTest::TearDown();
  }
  void Configure(Config& config) override {
    config.nri.socket = folder_ / "nri/nri.sock";
    config.nri.plugin_dir = folder_ / "nri-plugins";
    config.nri.request_timeout = request_timeout_;
    config.nri.registration_timeout = seconds(20);
  }
  void StartNri() { ASSERT_OK(pods_->nri().Start()); }
  void Restart() {
    StartDaemon();
    StartNri();
  }

  TestPlugin& Connect(TestPlugin::Options options = {}) {
    auto plugin = TestPlugin::Connect((folder_ / "nri/nri.sock").string(), std::move(options));
    EXPECT_TRUE(plugin) << plugin.error().message;
    EXPECT_TRUE((*plugin)->WaitUntilReady(Soon()));
    plugins_.push_back(*std::move(plugin));
    return *plugins_.back();
  }
  // One that answers this method with this message, or refuses it.
  template <typename Message>
  TestPlugin& Answering(const std::string& wanted, const Message& message) {
    return Connect(
        {.answer = [=](const std::string& method, const std::string&) -> Result<std::string> {
          return method == wanted ? message.SerializeAsString() : std::string();
        }});
  }
  TestPlugin& Refusing(const std::string& refused) {
    return Connect(
        {.answer = [=](const std::string& method, const std::string&) -> Result<std::string> {
          if (method == refused) return Fail(ErrorCode::kUnknown, "not today");
          return std::string();
        }});
  }
  bool WaitFor(const std::function<bool()>& done) {
    const Deadline deadline = Soon();
    while (!done() && !deadline.expired()) std::this_thread::sleep_for(milliseconds(2));
    return done();
  }

  milliseconds request_timeout_ = seconds(20);
  std::vector<std::unique_ptr<TestPlugin>> plugins_;
};

TEST_F(NriPods, EveryEventOfALifeOnceAndInOrder) {
  TestPlugin& plugin = Connect();
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  v1::UpdateContainerResourcesRequest update;
  update.set_container_id(*container);
  update.mutable_linux()->set_cpu_shares(100);
  ASSERT_OK(UpdateContainerResources(update, Call(), *pods_));
  ASSERT_OK(Stop(*container, 30));
  ASSERT_OK(Stop(*container, 30));
  ASSERT_OK(Remove(*container));
  ASSERT_OK(StopSandbox(*pod));
  ASSERT_OK(StopSandbox(*pod));
  ASSERT_OK(RemoveSandbox(*pod));
  EXPECT_EQ(
      plugin.MethodsOf(*container),
      (Methods{"CreateContainer", "PostCreateContainer", "StartContainer", "PostStartContainer",
               "UpdateContainer", "PostUpdateContainer", "StopContainer", "RemoveContainer"}));
  EXPECT_EQ(plugin.MethodsOf(*pod),
            (Methods{"RunPodSandbox", "StopPodSandbox", "RemovePodSandbox"}));
  const auto run = plugin.events().front().request.pod();
  EXPECT_EQ(run.name(), "web");
  EXPECT_EQ(run.namespace_(), "default");
  EXPECT_EQ(run.uid(), "uid-web");
  EXPECT_EQ(run.ips(0), "10.88.0.2");
  const auto created = plugin.events()[1].request.container();
  EXPECT_EQ(created.name(), "main");
  EXPECT_EQ(created.args(0), "run");
  EXPECT_EQ(created.pod_sandbox_id(), *pod);
  EXPECT_EQ(created.image().config_digest(), kFakeImage);
  ExpectNothingLeft();
}

TEST_F(NriPods, NewLimitsOfAPodAreToldBeforeAndAfter) {
  TestPlugin& plugin = Connect();
  const auto pod = Run("web");
  v1::UpdatePodSandboxResourcesRequest request;
  request.set_pod_sandbox_id(*pod);
  request.mutable_resources()->set_cpu_shares(200);
  request.mutable_overhead()->set_cpu_shares(20);
  ASSERT_OK(UpdatePodSandboxResources(request, Call(), *pods_));
  EXPECT_EQ(plugin.MethodsOf(*pod),
            (Methods{"RunPodSandbox", "UpdatePodSandbox", "PostUpdatePodSandbox"}));
  nri::UpdatePodSandboxRequest told;
  ASSERT_TRUE(told.ParseFromString(plugin.events()[1].payload));
  EXPECT_EQ(told.linux_resources().cpu().shares().value(), 200u);
  EXPECT_EQ(told.overhead_linux_resources().cpu().shares().value(), 20u);
  Refusing("UpdatePodSandbox");
  EXPECT_FALSE(UpdatePodSandboxResources(request, Call(), *pods_));
}

TEST_F(NriPods, AContainerThatEndsByItselfIsToldOfWithoutARemoval) {
  TestPlugin& plugin = Connect();
  const auto pod = Run("web");
  const auto container = Create(*pod, "main");
  ASSERT_OK(Start(*container));
  world_->Exit(*pod, *container, 1);
  ASSERT_TRUE(plugin.WaitFor("StopContainer", Soon()));
  EXPECT_EQ(plugin.events().back().request.container().exit_code(), 1);
  EXPECT_EQ(plugin.events().back().request.container().state(), nri::CONTAINER_STOPPED);
  ASSERT_OK(RemoveSandbox(*pod));
  EXPECT_EQ(plugin.MethodsOf(*container).back(), "RemoveContainer");
}

TEST_F(NriPods, ContainersHaveEndedWhenTheirSandboxIsToldToStop) {
  std::string pod_id, state;
  TestPlugin& plugin =
      Connect({.answer = [&](const std::string& method, const std::string&) -> Result<std::string> {
        if (method == "StopPodSandbox") {
          for (const auto& item : ContainerIds())
            state += StatusOf(item).state() == v1::CONTAINER_EXITED ? "ended" : "runs";
          state += SandboxOf(pod_id).status().id() == pod_id ? " there" : " gone";
          EXPECT_EQ(world_->attached.size(), 1u);
        }
        return std::string();
      }});
  pod_id = *Run("web");
  const auto container = Create(pod_id, "main");
  ASSERT_OK(Start(*container));
  ASSERT_OK(StopSandbox(pod_id));
  EXPECT_EQ(state, "ended there");
  EXPECT_EQ(plugin.MethodsOf(*container).back(), "StopContainer");
  EXPECT_EQ(plugin.events().back().method, "StopPodSandbox");
}

TEST_F(NriPods, ARefusedSandboxLeavesNothingAndItsNameIsFree) {
  TestPlugin& plugin = Refusing("RunPodSandbox");
  const auto refused = Run("web");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("not today"), std::string::npos);
  ExpectNothingLeft();
  EXPECT_EQ(plugin.events().back().method, "RemovePodSandbox");
  plugin.Close();
  ASSERT_TRUE(WaitFor([&] { return !pods_->nri().any(); }));
  ASSERT_OK(Run("web"));
}

TEST_F(NriPods, ARefusedContainerLeavesNothingAndItsNameIsFree) {
  const auto pod = Run("web");
  const auto before = world_->Describe();
  TestPlugin& plugin = Refusing("CreateContainer");
  ASSERT_FALSE(Create(*pod, "main"));
  EXPECT_EQ(world_->Describe(), before);
  EXPECT_EQ(ContainerIds(), std::vector<std::string>());
  plugin.Close();
  ASSERT_TRUE(WaitFor([&] { return !pods_->nri().any(); }));
  ASSERT_OK(Create(*pod, "main"));
}

TEST_F(NriPods, ARefusedStartIsAFailedOne) {
  Refusing("StartContainer");
  const auto pod = Run("web");
  const auto container = Create(*pod, "main");
  ASSERT_FALSE(Start(*container));
  EXPECT_EQ(StatusOf(*container).state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(StatusOf(*container).reason(), "StartError");
}

TEST_F(NriPods, RefusalsOfWhatHasHappenedAreNoticedOnly) {
  for (const char* method : {"StopPodSandbox", "RemovePodSandbox", "StopContainer",
                             "RemoveContainer", "PostCreateContainer", "PostStartContainer"})
    Refusing(method);
  const auto pod = Run("web");
  const auto container = Create(*pod, "main");
  ASSERT_OK(Start(*container));
  ASSERT_OK(Stop(*container, 30));
  ASSERT_OK(Remove(*container));
  ASSERT_OK(StopSandbox(*pod));
  ASSERT_OK(RemoveSandbox(*pod));
  ExpectNothingLeft();
}

TEST_F(NriPods, NothingIsSeenWhileItIsBeingAskedFor) {
  std::atomic<bool> asked = false, go = false;
  std::string asked_of;
  Connect(
      {.answer = [&](const std::string& method, const std::string& payload) -> Result<std::string> {
        if (method == "RunPodSandbox" || method == "CreateContainer") {
          nri::EventRequest request;
          (void)request.ParseFromString(payload);
          asked_of = method == "RunPodSandbox" ? request.pod().id() : request.container().id();
          asked = true;
          while (!go) std::this_thread::sleep_for(milliseconds(1));
        }
        return std::string();
      }});
  Result<std::string> pod = Fail(ErrorCode::kUnknown, "none");
  std::thread run([&] { pod = Run("web"); });
  ASSERT_TRUE(WaitFor([&] { return asked.load(); }));
  EXPECT_EQ(SandboxIds(), std::vector<std::string>());
  EXPECT_EQ(Create(asked_of, "early").error().code, ErrorCode::kNotFound);
  go = true;
  run.join();
  ASSERT_OK(pod);
  asked = go = false;
  Result<std::string> container = Fail(ErrorCode::kUnknown, "none");
  std::thread create([&] { container = Create(*pod, "main"); });
  ASSERT_TRUE(WaitFor([&] { return asked.load(); }));
  EXPECT_EQ(ContainerIds(), std::vector<std::string>());
  EXPECT_EQ(TryStatus(asked_of).error().code, ErrorCode::kNotFound);
  go = true;
  create.join();
  ASSERT_OK(container);
}

TEST_F(NriPods, AnAdjustmentIsWhatTheEngineIsGivenAndWhatIsReported) {
  nri::CreateContainerResponse response;
  response.mutable_adjust()->add_args("trap");
  auto* mount = response.mutable_adjust()->add_mounts();
  mount->set_destination("/added");
  mount->set_type("bind");
  mount->set_source(folder_.string());
  response.mutable_adjust()
      ->mutable_linux()
      ->mutable_resources()
      ->mutable_cpu()
      ->mutable_shares()
      ->set_value(77);
  TestPlugin& plugin = Answering("CreateContainer", response);
  const auto pod = Run("web");
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  EXPECT_EQ(world_->Find(*pod)->args[*container], std::vector<std::string>{"trap"});
  const auto status = StatusOf(*container);
  EXPECT_EQ(status.resources().linux().cpu_shares(), 77);
  ASSERT_EQ(status.mounts_size(), 1);
  EXPECT_EQ(status.mounts(0).container_path(), "/added");
  const auto post = plugin.events().back().request.container();
  EXPECT_EQ(post.args(0), "trap");
  EXPECT_EQ(post.linux().resources().cpu().shares().value(), 77u);
  // The same request again is the same container, though it was changed.
  EXPECT_EQ(*Create(*pod, "main"), *container);
  Restart();
  EXPECT_EQ(*Create(*pod, "main"), *container);
}

TEST_F(NriPods, WhatTheEngineCannotDoFailsTheContainer) {
  nri::CreateContainerResponse response;
  response.mutable_adjust()->mutable_linux()->set_cgroups_path("/elsewhere");
  Answering("CreateContainer", response);
  const auto pod = Run("web");
  const auto container = Create(*pod, "main");
  ASSERT_FALSE(container);
  EXPECT_EQ(container.error().code, ErrorCode::kUnimplemented);
  EXPECT_NE(container.error().message.find("linux.cgroups_path"), std::string::npos);
  EXPECT_EQ(ContainerIds(), std::vector<std::string>());
}

TEST_F(NriPods, OtherContainersAreUpdatedAndEvicted) {
  const auto pod = Run("web");
  const auto other = Create(*pod, "other");
  ASSERT_OK(Start(*other));
  nri::CreateContainerResponse response;
  auto* update = response.add_update();
  update->set_container_id(*other);
  update->mutable_linux()->mutable_resources()->mutable_cpu()->mutable_shares()->set_value(33);
  TestPlugin& plugin = Answering("CreateContainer", response);
  ASSERT_OK(Create(*pod, "main"));
  EXPECT_EQ(StatusOf(*other).resources().linux().cpu_shares(), 33);

  nri::UpdateContainersRequest request;
  *request.add_update() = *update;
  request.mutable_update(0)
      ->mutable_linux()
      ->mutable_resources()
      ->mutable_cpu()
      ->mutable_shares()
      ->set_value(44);
  request.add_update()->set_container_id("nobody");
  request.add_evict()->set_container_id(*other);
  const auto failed = plugin.Update(request, Soon());
  ASSERT_OK(failed);
  ASSERT_EQ(failed->failed_size(), 1);
  EXPECT_EQ(failed->failed(0).container_id(), "nobody");
  EXPECT_EQ(StatusOf(*other).resources().linux().cpu_shares(), 44);
  EXPECT_TRUE(WaitFor([&] { return StatusOf(*other).state() == v1::CONTAINER_EXITED; }));
}

TEST_F(NriPods, AnUpdateIsAsPluginsWantIt) {
  const auto pod = Run("web");
  const auto container = Create(*pod, "main");
  ASSERT_OK(Start(*container));
  nri::UpdateContainerResponse response;
  auto* update = response.add_update();
  update->set_container_id(*container);
  update->mutable_linux()->mutable_resources()->mutable_cpu()->mutable_shares()->set_value(55);
  Answering("UpdateContainer", response);
  v1::UpdateContainerResourcesRequest request;
  request.set_container_id(*container);
  request.mutable_linux()->set_cpu_shares(100);
  request.mutable_linux()->set_cpu_period(50'000);
  ASSERT_OK(UpdateContainerResources(request, Call(), *pods_));
  EXPECT_EQ(StatusOf(*container).resources().linux().cpu_shares(), 55);
  EXPECT_EQ(StatusOf(*container).resources().linux().cpu_period(), 50'000);
}

TEST_F(NriPods, AfterARestartAPluginIsGivenWhatThereIs) {
  Connect();
  const auto pod = Run("web");
  const auto runs = Create(*pod, "runs"), ended = Create(*pod, "ended");
  ASSERT_OK(Start(*runs));
  ASSERT_OK(Start(*ended));
  ASSERT_OK(Stop(*ended, 30));
  Restart();
  TestPlugin& plugin = Connect();
  const auto state = plugin.synchronized();
  ASSERT_EQ(state.pods_size(), 1);
  EXPECT_EQ(state.pods(0).id(), *pod);
  EXPECT_EQ(state.pods(0).name(), "web");
  ASSERT_EQ(state.containers_size(), 2);
  for (const auto& container : state.containers()) {
    EXPECT_EQ(container.args(0), "run");
    EXPECT_EQ(container.state(),
              container.id() == *runs ? nri::CONTAINER_RUNNING : nri::CONTAINER_STOPPED);
  }
  ASSERT_OK(RemoveSandbox(*pod));
  EXPECT_EQ(plugin.MethodsOf(*runs), (Methods{"StopContainer", "RemoveContainer"}));
  EXPECT_EQ(plugin.MethodsOf(*ended), (Methods{"RemoveContainer"}));
  EXPECT_EQ(plugin.MethodsOf(*pod), (Methods{"StopPodSandbox", "RemovePodSandbox"}));
}

TEST_F(NriPods, ContainersMadeWhileAPluginJoinsAreKnownToItOnce) {
  const auto pod = Run("web");
  std::atomic<bool> stop = false;
  std::vector<std::string> made;
  std::thread maker([&] {
    for (int i = 0; !stop; ++i) made.push_back(*Create(*pod, "c" + std::to_string(i)));
  });
  for (int i = 0; i < 5; ++i) Connect({.index = "1" + std::to_string(i)});
  stop = true;
  maker.join();
  for (const auto& plugin : plugins_) {
    const auto state = plugin->synchronized();
    for (const std::string& id : made) {
      const auto methods = plugin->MethodsOf(id);
      const auto in_state = std::count_if(state.containers().begin(), state.containers().end(),
                                          [&](const auto& c) { return c.id() == id; });
      EXPECT_EQ(in_state + std::count(methods.begin(), methods.end(), "CreateContainer"), 1);
    }
  }
}

}  // namespace
}  // namespace catamaran

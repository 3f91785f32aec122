#include <atomic>
#include <set>
#include <thread>

#include "cri/pods/testing/pods_test.h"

namespace catamaran {
namespace {

using Lifecycle = PodsTest;

TEST_F(Lifecycle, APodAndItsContainerGoThroughTheirWholeLife) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  EXPECT_EQ(SandboxIds(), std::vector{*pod});
  EXPECT_EQ(SandboxOf(*pod).status().state(), v1::SANDBOX_READY);
  EXPECT_EQ(SandboxOf(*pod).status().network().ip(), "10.88.0.2");

  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  EXPECT_EQ(StatusOf(*container).state(), v1::CONTAINER_CREATED);
  EXPECT_EQ(StatusOf(*container).started_at(), 0);
  ASSERT_OK(Start(*container));
  EXPECT_EQ(StatusOf(*container).state(), v1::CONTAINER_RUNNING);
  EXPECT_EQ(StatusOf(*container).started_at(), 1'600'000'000'000'000'000);
  EXPECT_EQ(StatusOf(*container).user().linux().uid(), 7);
  EXPECT_EQ(StatusOf(*container).image_id(), kFakeImage);
  EXPECT_NE(StatusOf(*container).image_ref(), "");

  ASSERT_OK(Stop(*container, 30));
  EXPECT_EQ(StatusOf(*container).state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(StatusOf(*container).exit_code(), 143);
  EXPECT_EQ(StatusOf(*container).reason(), "Error");
  EXPECT_EQ(StatusOf(*container).finished_at(), 1'700'000'000'000'000'000);
  ASSERT_OK(Remove(*container));
  EXPECT_EQ(TryStatus(*container).error().code, ErrorCode::kNotFound);

  ASSERT_OK(StopSandbox(*pod));
  EXPECT_EQ(SandboxOf(*pod).status().state(), v1::SANDBOX_NOTREADY);
  EXPECT_EQ(world_->Describe(), "");
  ASSERT_OK(RemoveSandbox(*pod));
  ExpectNothingLeft();
}

TEST_F(Lifecycle, LabelsAndAnnotationsComeBackAsTheyWereGivenAlsoAfterARestart) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  StartDaemon();
  const auto status = SandboxOf(*pod).status();
  const auto request = PodRequest("web");
  EXPECT_EQ(status.annotations().at("note"), request.config().annotations().at("note"));
  EXPECT_EQ(status.labels().at("app"), "web");
  EXPECT_EQ(status.metadata().SerializeAsString(), request.config().metadata().SerializeAsString());
}

TEST_F(Lifecycle, VerboseStatusShowsTheTimelineOfTheStart) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  const std::string info = SandboxOf(*pod, /*verbose=*/true).info().at("info");
  for (const char* step : {"network", "shim", "sandbox", "image", "create", "start"})
    EXPECT_NE(info.find("\"step\":\"" + std::string(step) + "\""), std::string::npos) << info;
}

TEST_F(Lifecycle, EveryFailingStepOfRunPodSandboxLeavesNothing) {
  std::set<std::string> steps;
  world_->on_step = [&](const std::string& step) -> Status {
    steps.insert(step);
    return {};
  };
  const auto pod = Run("whole");
  ASSERT_OK(pod);
  world_->on_step = nullptr;
  ASSERT_OK(RemoveSandbox(*pod));
  ASSERT_EQ(steps, (std::set<std::string>{"attach", "spawn", "admit-shim", "create-sandbox"}));
  for (const std::string& failing : steps) {
    SCOPED_TRACE(failing);
    world_->on_step = [&](const std::string& step) -> Status {
      if (step == failing) return Fail(ErrorCode::kResourceExhausted, "no room for {}", step);
      return {};
    };
    const auto failed = Run("web");
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::kResourceExhausted);
    world_->on_step = nullptr;
    ExpectNothingLeft();
    // The name is free again.
    const auto again = Run("web");
    ASSERT_OK(again);
    ASSERT_OK(RemoveSandbox(*again));
  }
}

TEST_F(Lifecycle, EveryFailingStepOfCreateContainerLeavesOnlyThePod) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto before = world_->Describe();
  for (const std::string failing : {"find-image", "lease", "create-container"}) {
    SCOPED_TRACE(failing);
    world_->on_step = [&](const std::string& step) -> Status {
      if (step == failing) return Fail(ErrorCode::kInternal, "{}", step);
      return {};
    };
    ASSERT_FALSE(Create(*pod, "main"));
    world_->on_step = nullptr;
    EXPECT_EQ(world_->Describe(), before);
    EXPECT_EQ(ContainerIds(), std::vector<std::string>());
    EXPECT_EQ(*ListDirectory((folder_ / "root/pods" / *pod).value()), std::vector<std::string>());
    EXPECT_EQ(*ListDirectory((folder_ / "run/pods" / *pod / "containers").value()),
              std::vector<std::string>());
    const auto again = Create(*pod, "main");
    ASSERT_OK(again);
    ASSERT_OK(Remove(*again));
  }
}

// The kubelet goes by the first word (k8s.io/cri-api, pkg/errors).
TEST_F(Lifecycle, AnImageThatCannotBeMountedIsWhatTheErrorBeginsWith) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto failing = [&](ErrorSubject subject) {
    world_->on_step = [subject](const std::string& step) -> Status {
      if (step != "create-container") return {};
      return tl::unexpected(Error{ErrorCode::kNotFound, 0, "no such part", subject});
    };
    const auto created = Create(*pod, "main");
    world_->on_step = nullptr;
    EXPECT_FALSE(created);
    EXPECT_EQ(created.error().code, ErrorCode::kNotFound);
    return created.error().message;
  };
  EXPECT_EQ(failing(ErrorSubject::kImageVolume), "ImageVolumeMountFailed: no such part");
  EXPECT_EQ(failing(ErrorSubject::kUnnamed), "no such part");

  auto request = ContainerRequest(*pod, "main", {"run"});
  auto* mount = request.mutable_config()->add_mounts();
  mount->set_container_path("/data");
  mount->set_readonly(true);
  mount->mutable_image()->set_image("docker.io/library/absent:1");
  const auto absent = CreateContainer(request, Call(), *pods_);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(absent.error().message.starts_with("ImageVolumeMountFailed: "))
      << absent.error().message;
  EXPECT_NE(absent.error().message.find("absent:1"), std::string::npos);
}

TEST_F(Lifecycle, WhatARollBackCannotUndoIsNotListedAndUndoneLater) {
  world_->on_step = [](const std::string& step) -> Status {
    if (step == "spawn" || step == "detach") return Fail(ErrorCode::kInternal, "{}", step);
    return {};
  };
  ASSERT_FALSE(Run("web"));
  EXPECT_EQ(SandboxIds(), std::vector<std::string>());
  EXPECT_NE(world_->Describe(), "");
  world_->on_step = nullptr;
  StartDaemon();
  ExpectNothingLeft();
}

TEST_F(Lifecycle, AStartThatFailsLeavesAnExitedContainer) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  world_->on_step = [](const std::string& step) -> Status {
    if (step == "start-container") return Fail(ErrorCode::kNotFound, "exec /nothing");
    return {};
  };
  EXPECT_FALSE(Start(*container));
  world_->on_step = nullptr;
  const auto status = StatusOf(*container);
  EXPECT_EQ(status.state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status.exit_code(), 128);
  EXPECT_EQ(status.reason(), "StartError");
  EXPECT_NE(status.message().find("/nothing"), std::string::npos);
  EXPECT_EQ(Start(*container).error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(Lifecycle, AnExitReportedBeforeTheAnswerToStartIsKept) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main", {"exit", "0"});
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  const auto status = StatusOf(*container);
  EXPECT_EQ(status.state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status.reason(), "Completed");
  EXPECT_NE(status.started_at(), 0);
}

TEST_F(Lifecycle, ReasonsOfExitsAreTheKubeletsWords) {
  struct Row {
    const char* name;
    int code;
    bool oom;
    const char* reason;
  };
  const auto pod = Run("web");
  ASSERT_OK(pod);
  for (const Row& row : {Row{"zero", 0, false, "Completed"}, Row{"one", 1, false, "Error"},
                         Row{"oom", 137, true, "OOMKilled"}, Row{"kill", 137, false, "Error"},
                         Row{"child-oom", 1, true, "Error"}}) {
    SCOPED_TRACE(row.name);
    const auto container = Create(*pod, row.name);
    ASSERT_OK(container);
    ASSERT_OK(Start(*container));
    world_->Exit(*pod, *container, row.code, row.oom);
    EXPECT_EQ(StatusOf(*container).reason(), row.reason);
    EXPECT_EQ(StatusOf(*container).exit_code(), row.code);
  }
}

TEST_F(Lifecycle, StoppingAPodEndsItsContainersFirst) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto running = Create(*pod, "running");
  const auto created = Create(*pod, "created");
  ASSERT_OK(running);
  ASSERT_OK(created);
  ASSERT_OK(Start(*running));
  ASSERT_OK(StopSandbox(*pod));
  EXPECT_EQ(StatusOf(*running).state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(StatusOf(*running).exit_code(), 137);
  EXPECT_EQ(StatusOf(*created).state(), v1::CONTAINER_EXITED);
  ASSERT_OK(StopSandbox(*pod));
  EXPECT_EQ(Create(*pod, "late").error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(ContainerIds().size(), 2u);
  ASSERT_OK(RemoveSandbox(*pod));
  ExpectNothingLeft();
}

TEST_F(Lifecycle, AStopThatFailsIsFinishedByTheNext) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  for (const std::string failing : {"detach", "remove-cgroup"}) {
    world_->on_step = [&](const std::string& step) -> Status {
      if (step == failing) return Fail(ErrorCode::kUnavailable, "{}", step);
      return {};
    };
    EXPECT_FALSE(StopSandbox(*pod)) << failing;
    EXPECT_FALSE(RemoveSandbox(*pod)) << failing;
    EXPECT_EQ(SandboxOf(*pod).status().state(), v1::SANDBOX_NOTREADY);
  }
  world_->on_step = nullptr;
  ASSERT_OK(RemoveSandbox(*pod));
  ExpectNothingLeft();
}

TEST_F(Lifecycle, StopAndRemoveOfWhatIsGoneSucceed) {
  const std::string nothing(64, 'a');
  EXPECT_TRUE(StopSandbox(nothing));
  EXPECT_TRUE(RemoveSandbox(nothing));
  EXPECT_TRUE(Stop(nothing, 0));
  EXPECT_TRUE(Remove(nothing));
  EXPECT_TRUE(Stop("1b4e28ba-2fa1-11d2-883f-0016d3cca427", 0));
  EXPECT_EQ(Start(nothing).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(TryStatus(nothing).error().code, ErrorCode::kNotFound);
}

TEST_F(Lifecycle, TheSameRequestAgainGivesTheSamePodAndAnotherOneIsRefused) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  EXPECT_EQ(*Run("web"), *pod);
  auto other = PodRequest("web");
  other.mutable_config()->set_hostname("elsewhere");
  auto refused = RunPodSandbox(other, Call(), *pods_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kAlreadyExists);
  EXPECT_NE(refused.error().message.find(*pod), std::string::npos);
  other.mutable_config()->mutable_metadata()->set_attempt(1);
  EXPECT_TRUE(RunPodSandbox(other, Call(), *pods_));

  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  EXPECT_EQ(*Create(*pod, "main"), *container);
  EXPECT_EQ(Create(*pod, "main", {"other"}).error().code, ErrorCode::kAlreadyExists);
  ASSERT_OK(Start(*container));
  EXPECT_EQ(Create(*pod, "main").error().code, ErrorCode::kAlreadyExists);
  ASSERT_OK(StopSandbox(*pod));
  EXPECT_EQ(Run("web").error().code, ErrorCode::kAlreadyExists);
}

TEST_F(Lifecycle, ARequestJoinsTheSameOneInFlightAndPodsInCreationAreNotListed) {
  std::atomic<int> arrived = 0;
  std::atomic<bool> go = false;
  world_->on_step = [&](const std::string& step) -> Status {
    if (step != "create-sandbox" || arrived++ > 0) return {};
    while (!go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return {};
  };
  Result<std::string> first, second;
  std::thread one([&] { first = Run("web"); });
  while (arrived == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(SandboxIds(), std::vector<std::string>());
  std::thread two([&] { second = Run("web"); });
  // Another pod is not held up by the one that waits.
  EXPECT_TRUE(Run("other"));
  go = true;
  one.join();
  two.join();
  ASSERT_OK(first);
  ASSERT_OK(second);
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(SandboxIds().size(), 2u);
}

TEST_F(Lifecycle, ListsFilterByIdStatePodAndLabels) {
  const auto web = Run("web"), database = Run("database");
  ASSERT_OK(web);
  ASSERT_OK(database);
  const auto container = Create(*web, "main");
  ASSERT_OK(container);
  ASSERT_OK(StopSandbox(*database));
  v1::ListPodSandboxRequest request;
  request.mutable_filter()->mutable_state()->set_state(v1::SANDBOX_NOTREADY);
  EXPECT_EQ(ListPodSandbox(request, Call(), *pods_)->items(0).id(), *database);
  request.mutable_filter()->set_id(*web);
  EXPECT_EQ(ListPodSandbox(request, Call(), *pods_)->items_size(), 0);
  request.mutable_filter()->clear_state();
  (*request.mutable_filter()->mutable_label_selector())["app"] = "web";
  EXPECT_EQ(ListPodSandbox(request, Call(), *pods_)->items_size(), 1);
  (*request.mutable_filter()->mutable_label_selector())["app"] = "we";
  EXPECT_EQ(ListPodSandbox(request, Call(), *pods_)->items_size(), 0);
  v1::ListContainersRequest containers;
  containers.mutable_filter()->set_pod_sandbox_id(*database);
  EXPECT_EQ(ListContainers(containers, Call(), *pods_)->containers_size(), 0);
  containers.mutable_filter()->set_pod_sandbox_id(*web);
  EXPECT_EQ(ListContainers(containers, Call(), *pods_)->containers(0).id(), *container);
}

}  // namespace
}  // namespace catamaran

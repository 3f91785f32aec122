// Pod sandboxes: run, status, list, stop, remove, and what repeating each of them does.
#include "e2e/harness/pod_test.h"

#include <set>

namespace catamaran::e2e {
namespace {

class Pods : public PodTest {
 protected:
  Reply<v1::RunPodSandboxResponse> TryRun(const v1::PodSandboxConfig& config) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = config;
    request.set_runtime_handler(GetParam());
    return cri().RunPodSandbox(request, std::chrono::seconds(240));
  }
  v1::PodSandboxStatus PodStatus(const std::string& pod) {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(pod);
    auto reply = cri().PodSandboxStatus(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    return reply->status();
  }
  std::set<std::string> List(const v1::PodSandboxFilter& filter) {
    v1::ListPodSandboxRequest request;
    *request.mutable_filter() = filter;
    auto reply = cri().ListPodSandbox(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    std::set<std::string> ids;
    for (const auto& item : reply->items()) ids.insert(item.id());
    return ids;
  }
  void Stop(const std::string& pod) {
    v1::StopPodSandboxRequest request;
    request.set_pod_sandbox_id(pod);
    auto reply = cri().StopPodSandbox(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
  }
  void Remove(const std::string& pod) {
    v1::RemovePodSandboxRequest request;
    request.set_pod_sandbox_id(pod);
    auto reply = cri().RemovePodSandbox(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
  }
};

TEST_P(Pods, StatusGivesBackWhatWasAskedAndWhatCameOfIt) {
  auto config = PodConfig();
  (*config.mutable_labels())["app"] = "x";
  (*config.mutable_annotations())["note"] = "bytes: \xc3\xa4 \"quoted\"\n";
  config.mutable_metadata()->set_attempt(3);
  const std::string pod = RunPod(config);
  ASSERT_FALSE(pod.empty());
  const auto status = PodStatus(pod);
  EXPECT_EQ(status.id(), pod);
  EXPECT_EQ(status.metadata().name(), config.metadata().name());
  EXPECT_EQ(status.metadata().namespace_(), config.metadata().namespace_());
  EXPECT_EQ(status.metadata().uid(), config.metadata().uid());
  EXPECT_EQ(status.metadata().attempt(), 3u);
  EXPECT_EQ(status.state(), v1::SANDBOX_READY);
  EXPECT_GT(status.created_at(), 1'600'000'000'000'000'000);
  EXPECT_EQ(status.labels().at("app"), "x");
  EXPECT_EQ(status.annotations().at("note"), config.annotations().at("note"));
  EXPECT_EQ(status.runtime_handler(), GetParam());
  EXPECT_EQ(status.linux().namespaces().options().network(), v1::POD);
  EXPECT_EQ(status.network().ip().rfind("10.88.", 0), 0u) << status.network().ip();
  ASSERT_EQ(status.network().additional_ips_size(), 1);
  EXPECT_EQ(status.network().additional_ips(0).ip().rfind("fd00:88:", 0), 0u);
}

TEST_P(Pods, VerboseStatusShowsTheStartTimeline) {
  const std::string pod = RunPod();
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(pod);
  request.set_verbose(true);
  auto reply = cri().PodSandboxStatus(request);
  ASSERT_TRUE(reply.ok()) << reply.message();
  ASSERT_TRUE(reply->info().count("info"));
  EXPECT_NE(reply->info().at("info").find("timeline"), std::string::npos)
      << reply->info().at("info");
  request.set_verbose(false);
  EXPECT_EQ(cri().PodSandboxStatus(request)->info_size(), 0);
}

TEST_P(Pods, RunningTheSamePodAgainNeverMakesASecondSandbox) {
  const auto config = PodConfig();
  const std::string pod = RunPod(config);
  auto again = TryRun(config);
  if (again.ok()) {
    EXPECT_EQ(again->pod_sandbox_id(), pod);
  } else {
    EXPECT_EQ(again.code(), ErrorCode::kAlreadyExists) << again.message();
  }
  auto different = config;
  different.set_hostname("another");
  auto refused = TryRun(different);
  EXPECT_EQ(refused.code(), ErrorCode::kAlreadyExists) << refused.message();
  EXPECT_NE(refused.message().find(pod), std::string::npos) << refused.message();
  EXPECT_EQ(List({}), std::set<std::string>{pod});
}

TEST_P(Pods, StopAndRemoveSucceedAsOftenAsTheyAreAsked) {
  const std::string pod = RunPod();
  const std::string container = StartSleeper(pod);
  Stop(pod);
  EXPECT_EQ(PodStatus(pod).state(), v1::SANDBOX_NOTREADY);
  EXPECT_EQ(StatusOf(container).state(), v1::CONTAINER_EXITED);
  Stop(pod);
  Remove(pod);
  Remove(pod);
  Stop(pod);
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(pod);
  EXPECT_EQ(cri().PodSandboxStatus(request).code(), ErrorCode::kNotFound);
  v1::ContainerStatusRequest status;
  status.set_container_id(container);
  EXPECT_EQ(cri().ContainerStatus(status).code(), ErrorCode::kNotFound);
}

TEST_P(Pods, RemoveTakesARunningPodWithItsContainers) {
  const std::string pod = RunPod();
  StartSleeper(pod);
  Remove(pod);
  EXPECT_TRUE(List({}).empty());
}

TEST_P(Pods, ListFiltersByIdStateAndLabelsTogether) {
  auto first_config = PodConfig("first");
  (*first_config.mutable_labels())["color"] = "red";
  (*first_config.mutable_labels())["size"] = "big";
  auto second_config = PodConfig("second");
  (*second_config.mutable_labels())["color"] = "red";
  const std::string first = RunPod(first_config), second = RunPod(second_config);
  Stop(second);
  using Ids = std::set<std::string>;
  EXPECT_EQ(List({}), (Ids{first, second}));
  v1::PodSandboxFilter filter;
  filter.set_id(first);
  EXPECT_EQ(List(filter), Ids{first});
  filter.set_id("0000000000000000000000000000000000000000000000000000000000000000");
  EXPECT_EQ(List(filter), Ids{});
  filter.Clear();
  filter.mutable_state()->set_state(v1::SANDBOX_NOTREADY);
  EXPECT_EQ(List(filter), Ids{second});
  filter.Clear();
  (*filter.mutable_label_selector())["color"] = "red";
  EXPECT_EQ(List(filter), (Ids{first, second}));
  (*filter.mutable_label_selector())["size"] = "big";
  EXPECT_EQ(List(filter), Ids{first});
  filter.mutable_state()->set_state(v1::SANDBOX_NOTREADY);
  EXPECT_EQ(List(filter), Ids{});
}

TEST_P(Pods, AStoppedPodTakesNoMoreContainers) {
  const std::string pod = RunPod();
  Stop(pod);
  auto refused = TryCreate(pod, ShellConfig("late", "true"));
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.code(), ErrorCode::kNotFound) << refused.message();
}

TEST_P(Pods, ManyPodsStartAndEndSideBySide) {
  std::vector<std::string> pods;
  std::set<std::string> addresses;
  for (int i = 0; i < (on_vm() ? 3 : 10); ++i) pods.push_back(RunPod(PodConfig()));
  for (const std::string& pod : pods) addresses.insert(IpOf(pod));
  EXPECT_EQ(addresses.size(), pods.size());
}

CATAMARAN_ON_EVERY_HANDLER(Pods);

}  // namespace
}  // namespace catamaran::e2e

// Lists as streams: what the lists say, in messages of bounded size.
#include "cri/pods/testing/pods_test.h"

namespace catamaran {
namespace {

template <typename Response>
struct Messages {
  StreamWriter<Response> Writer() {
    return {[] {},
            [this](const Response& response) {
              all.push_back(response);
              return all.size() < most;
            }};
  }
  std::vector<Response> all;
  size_t most = SIZE_MAX;
};

class StreamLists : public PodsTest {
 protected:
  // A record as a container has it, without a shim.
  void AddContainer(const std::shared_ptr<Pod>& pod, int number, size_t annotation_bytes) {
    const ContainerId id(fmt::format("{:064x}", number + 1));
    auto container = std::make_shared<Container>(id, pod->id);
    container->record.set_container_id(id.value());
    container->record.set_pod_id(pod->id.value());
    container->record.set_published(true);
    container->record.set_state(record::CONTAINER_EXITED);
    (*container->record.mutable_config()->mutable_annotations())["a"].assign(annotation_bytes, 'x');
    std::lock_guard lock(pod->mutex);
    pod->containers[id.value()] = std::move(container);
  }
};

TEST_F(StreamLists, SayWhatTheListsSay) {
  std::vector<std::string> pods;
  for (const char* name : {"a", "b", "c"}) {
    pods.push_back(*Run(name));
    ASSERT_OK(Start(*Create(pods.back(), name)));
  }
  Messages<v1::StreamPodSandboxesResponse> sandboxes;
  ASSERT_OK(StreamPodSandboxes({}, Call(), *pods_, sandboxes.Writer()));
  ASSERT_EQ(sandboxes.all.size(), 1u);
  const auto listed = ListPodSandbox({}, Call(), *pods_);
  ASSERT_EQ(sandboxes.all[0].pod_sandboxes_size(), 3);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(sandboxes.all[0].pod_sandboxes(i).SerializeAsString(),
              listed->items(i).SerializeAsString());

  v1::StreamContainersRequest one;
  one.mutable_filter()->set_pod_sandbox_id(pods[1]);
  Messages<v1::StreamContainersResponse> containers;
  ASSERT_OK(StreamContainers(one, Call(), *pods_, containers.Writer()));
  ASSERT_EQ(containers.all.size(), 1u);
  ASSERT_EQ(containers.all[0].containers_size(), 1);
  EXPECT_EQ(containers.all[0].containers(0).metadata().name(), "b");

  Messages<v1::StreamContainerStatsResponse> stats;
  ASSERT_OK(StreamContainerStats({}, Call(), *pods_, stats.Writer()));
  ASSERT_EQ(stats.all.size(), 1u);
  EXPECT_EQ(stats.all[0].container_stats_size(), 3);
  Messages<v1::StreamPodSandboxStatsResponse> pod_stats;
  ASSERT_OK(StreamPodSandboxStats({}, Call(), *pods_, pod_stats.Writer()));
  ASSERT_EQ(pod_stats.all.size(), 1u);
  EXPECT_EQ(pod_stats.all[0].pod_sandbox_stats_size(), 3);

  Messages<v1::StreamPodSandboxMetricsResponse> metrics;
  ASSERT_OK(StreamPodSandboxMetrics({}, Call(), *pods_, metrics.Writer()));
  ASSERT_EQ(metrics.all.size(), 1u);
  const auto listed_metrics = ListPodSandboxMetrics({}, Call(), *pods_);
  ASSERT_EQ(metrics.all[0].pod_sandbox_metrics_size(), 3);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(metrics.all[0].pod_sandbox_metrics(i).SerializeAsString(),
              listed_metrics->pod_metrics(i).SerializeAsString());

  v1::StreamPodSandboxesRequest none;
  none.mutable_filter()->set_id("f00");
  Messages<v1::StreamPodSandboxesResponse> nothing;
  ASSERT_OK(StreamPodSandboxes(none, Call(), *pods_, nothing.Writer()));
  EXPECT_TRUE(nothing.all.empty());
}

TEST_F(StreamLists, TwentyThousandContainersTakeNoMoreMemoryThanOneMessage) {
  const auto pod = pods_->table().FindPod(*Run("big"));
  constexpr int kCount = 20'000;
  for (int i = 0; i < kCount; ++i) AddContainer(pod, i, 64);
  size_t items = 0, largest = 0;
  const StreamWriter<v1::StreamContainersResponse> writer{
      [] {},
      [&](const v1::StreamContainersResponse& message) {
        items += static_cast<size_t>(message.containers_size());
        largest = std::max(largest, message.ByteSizeLong());
        return true;
      }};
  ASSERT_OK(StreamContainers({}, Call(), *pods_, writer));
  EXPECT_EQ(items, static_cast<size_t>(kCount));
  EXPECT_LT(largest, 100u << 10);
}

TEST_F(StreamLists, MetricsOfTwentyThousandContainersTakeNoMoreMemoryThanFewMessages) {
  constexpr int kPods = 200, kEach = 100;
  for (int i = 0; i < kPods; ++i) {
    const std::string id = *Run("p" + std::to_string(i));
    const auto pod = pods_->table().FindPod(id);
    for (int j = 0; j < kEach; ++j) {
      AddContainer(pod, i * kEach + j, 0);
      const std::string container = fmt::format("{:064x}", i * kEach + j + 1);
      pod->containers[container]->record.set_state(record::CONTAINER_RUNNING);
      world_->Find(id)->containers[container].set_state(spec::RUNNING);
    }
  }
  int pods = 0, containers = 0;
  size_t largest = 0, all = 0;
  const StreamWriter<v1::StreamPodSandboxMetricsResponse> writer{
      [] {},
      [&](const v1::StreamPodSandboxMetricsResponse& message) {
        pods += message.pod_sandbox_metrics_size();
        for (const auto& pod : message.pod_sandbox_metrics())
          containers += pod.container_metrics_size();
        largest = std::max(largest, message.ByteSizeLong());
        all += message.ByteSizeLong();
        return true;
      }};
  ASSERT_OK(StreamPodSandboxMetrics({}, Call(120), *pods_, writer));
  EXPECT_EQ(pods, kPods);
  EXPECT_EQ(containers, kPods * kEach);
  EXPECT_LT(largest, 3u << 20);  // a pod's own are not cut
  EXPECT_GT(all, 20 * largest);
}

TEST_F(StreamLists, MetricsAreOfThosePodsThatAnswerNow) {
  const std::string good = *Run("good"), frozen = *Run("frozen"), stopped = *Run("stopped");
  ASSERT_OK(Start(*Create(good, "runs")));
  ASSERT_OK(Create(good, "does-not-run"));
  ASSERT_OK(StopSandbox(stopped));
  world_->Find(frozen)->frozen = true;
  const auto listed = ListPodSandboxMetrics({}, Call(1), *pods_);
  world_->Find(frozen)->frozen = false;
  ASSERT_OK(listed);
  ASSERT_EQ(listed->pod_metrics_size(), 1);
  EXPECT_EQ(listed->pod_metrics(0).pod_sandbox_id(), good);
  EXPECT_GT(listed->pod_metrics(0).metrics_size(), 0);
  ASSERT_EQ(listed->pod_metrics(0).container_metrics_size(), 1);
  const auto& sample = listed->pod_metrics(0).container_metrics(0).metrics(0);
  ASSERT_GE(sample.label_values_size(), 5);
  EXPECT_EQ(sample.label_values(2), "default");
  EXPECT_EQ(sample.label_values(3), "good");
  EXPECT_EQ(sample.label_values(4), "runs");
}

TEST_F(StreamLists, MetricsOfAPodOnTheNodesNetworkHaveNoneOfIt) {
  auto request = PodRequest("host");
  request.mutable_config()
      ->mutable_linux()
      ->mutable_security_context()
      ->mutable_namespace_options()
      ->set_network(v1::NODE);
  ASSERT_OK(RunPodSandbox(request, Call(), *pods_));
  const auto listed = ListPodSandboxMetrics({}, Call(), *pods_);
  ASSERT_OK(listed);
  ASSERT_EQ(listed->pod_metrics_size(), 1);
  EXPECT_EQ(listed->pod_metrics(0).metrics_size(), 0);
}

TEST_F(StreamLists, LargeItemsAreBoundedByBytes) {
  const auto pod = pods_->table().FindPod(*Run("big"));
  for (int i = 0; i < 40; ++i) AddContainer(pod, i, 256 << 10);
  Messages<v1::StreamContainersResponse> messages;
  ASSERT_OK(StreamContainers({}, Call(), *pods_, messages.Writer()));
  EXPECT_GE(messages.all.size(), 10u);
  for (const auto& message : messages.all) EXPECT_LT(message.ByteSizeLong(), 2u << 20);
}

TEST_F(StreamLists, EndWithTheirCaller) {
  const auto pod = pods_->table().FindPod(*Run("big"));
  for (int i = 0; i < 1000; ++i) AddContainer(pod, i, 1);
  Messages<v1::StreamContainersResponse> messages;
  messages.most = 2;
  const auto streamed = StreamContainers({}, Call(), *pods_, messages.Writer());
  ASSERT_FALSE(streamed);
  EXPECT_EQ(streamed.error().code, ErrorCode::kAborted);
  EXPECT_EQ(messages.all.size(), 2u);
}

}  // namespace
}  // namespace catamaran

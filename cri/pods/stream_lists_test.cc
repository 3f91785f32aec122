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

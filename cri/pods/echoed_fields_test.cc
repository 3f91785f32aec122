// What a request said and its pod's or container's status says again, and updates.
#include "cri/pods/testing/pods_test.h"

namespace catamaran {
namespace {

class EchoedFields : public PodsTest {};

v1::LinuxContainerResources SomeResources() {
  v1::LinuxContainerResources resources;
  resources.set_cpu_period(100'000);
  resources.set_cpu_quota(50'000);
  resources.set_cpu_shares(512);
  resources.set_memory_limit_in_bytes(64 << 20);
  resources.set_memory_swap_limit_in_bytes(64 << 20);
  resources.set_oom_score_adj(500);
  resources.set_cpuset_cpus("0");
  resources.set_cpuset_mems("0");
  (*resources.mutable_unified())["pids.max"] = "7";
  return resources;
}

TEST_F(EchoedFields, OfAContainerAreThoseOfTheRequest) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  auto request = ContainerRequest(*pod, "main", {"run"});
  v1::ContainerConfig& config = *request.mutable_config();
  config.mutable_metadata()->set_attempt(3);
  config.mutable_image()->set_user_specified_image("docker.io/library/web:1");
  config.mutable_image()->set_runtime_handler("ns");
  (*config.mutable_image()->mutable_annotations())["of"] = "the pod";
  (*config.mutable_labels())["app"] = "web";
  (*config.mutable_annotations())["note"] = "a\nb";
  config.set_stop_signal(v1::SIGNAL_SIGUSR2);
  *config.mutable_linux()->mutable_resources() = SomeResources();
  v1::Mount& mount = *config.add_mounts();
  mount.set_container_path("/data");
  mount.set_host_path((folder_ / "volume").string());
  mount.set_readonly(true);
  mount.set_recursive_read_only(true);
  mount.add_mount_options("noexec");
  const auto created = CreateContainer(request, Call(), *pods_);
  ASSERT_OK(created);
  StartDaemon();  // after a restart too

  const v1::ContainerStatus status = StatusOf(created->container_id());
  EXPECT_EQ(status.metadata().SerializeAsString(), config.metadata().SerializeAsString());
  EXPECT_EQ(status.image().user_specified_image(), "docker.io/library/web:1");
  EXPECT_EQ(status.image().annotations().at("of"), "the pod");
  EXPECT_EQ(status.labels().at("app"), "web");
  EXPECT_EQ(status.annotations().at("note"), "a\nb");
  EXPECT_EQ(status.stop_signal(), v1::SIGNAL_SIGUSR2);
  EXPECT_EQ(status.resources().linux().ShortDebugString(), SomeResources().ShortDebugString());
  ASSERT_EQ(status.mounts_size(), 1);
  EXPECT_EQ(status.mounts(0).ShortDebugString(), mount.ShortDebugString());
}

TEST_F(EchoedFields, OfAListedContainerAreThoseOfItsStatus) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  const auto status = StatusOf(*container);
  const auto listed = ListContainers({}, Call(), *pods_);
  ASSERT_OK(listed);
  ASSERT_EQ(listed->containers_size(), 1);
  const v1::Container& item = listed->containers(0);
  EXPECT_EQ(item.id(), status.id());
  EXPECT_EQ(item.pod_sandbox_id(), *pod);
  EXPECT_EQ(item.metadata().ShortDebugString(), status.metadata().ShortDebugString());
  EXPECT_EQ(item.image().ShortDebugString(), status.image().ShortDebugString());
  EXPECT_EQ(item.image_ref(), status.image_ref());
  EXPECT_EQ(item.image_id(), status.image_id());
  EXPECT_EQ(item.state(), status.state());
  EXPECT_EQ(item.created_at(), status.created_at());
}

TEST_F(EchoedFields, AVerboseStatusOfAContainerShowsItsConfiguration) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  v1::ContainerStatusRequest request;
  request.set_container_id(*container);
  EXPECT_TRUE(ContainerStatus(request, Call(), *pods_)->info().empty());
  request.set_verbose(true);
  const auto status = ContainerStatus(request, Call(), *pods_);
  ASSERT_OK(status);
  const std::string& info = status->info().at("info");
  EXPECT_NE(info.find(*pod), std::string::npos) << info;
  EXPECT_NE(info.find("\"command\":[\"run\"]"), std::string::npos) << info;
}

TEST_F(EchoedFields, OfAPodsStatusAreItsContainersToo) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  ASSERT_OK(Start(*container));
  const auto status = SandboxOf(*pod);
  ASSERT_EQ(status.containers_statuses_size(), 1);
  EXPECT_EQ(status.containers_statuses(0).ShortDebugString(),
            StatusOf(*container).ShortDebugString());
  EXPECT_EQ(status.timestamp(), 0);
}

TEST_F(EchoedFields, OfAnEventAreThoseOfTheStatus) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  ContainerEvents::Subscription subscription(pods_->events());
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  const auto event = subscription.Next(std::chrono::seconds(30));
  ASSERT_OK(event);
  ASSERT_NE(*event, nullptr);
  EXPECT_EQ((*event)->pod_sandbox_status().ShortDebugString(),
            SandboxOf(*pod).status().ShortDebugString());
  ASSERT_EQ((*event)->containers_statuses_size(), 1);
  EXPECT_EQ((*event)->containers_statuses(0).ShortDebugString(),
            StatusOf(*container).ShortDebugString());
}

TEST_F(EchoedFields, OfAListedPodAreThoseOfItsStatus) {
  auto request = PodRequest("web");
  request.set_runtime_handler("ns");
  const auto pod = RunPodSandbox(request, Call(), *pods_);
  ASSERT_OK(pod);
  const auto status = SandboxOf(pod->pod_sandbox_id()).status();
  const auto listed = ListPodSandbox({}, Call(), *pods_);
  ASSERT_OK(listed);
  ASSERT_EQ(listed->items_size(), 1);
  const v1::PodSandbox& item = listed->items(0);
  EXPECT_EQ(item.id(), status.id());
  EXPECT_EQ(item.metadata().ShortDebugString(), request.config().metadata().ShortDebugString());
  EXPECT_EQ(item.state(), status.state());
  EXPECT_EQ(item.created_at(), status.created_at());
  EXPECT_EQ(item.labels().at("app"), "web");
  EXPECT_EQ(item.annotations().at("note"), status.annotations().at("note"));
  EXPECT_EQ(item.runtime_handler(), "ns");
}

// The kubelet makes a sandbox anew whose namespaces are not those that it asked for.
TEST_F(EchoedFields, OfAPodsNamespacesAreThoseOfTheRequest) {
  auto request = PodRequest("web");
  auto& options = *request.mutable_config()
                       ->mutable_linux()
                       ->mutable_security_context()
                       ->mutable_namespace_options();
  options.set_pid(v1::CONTAINER);
  options.set_ipc(v1::NODE);
  const auto pod = RunPodSandbox(request, Call(), *pods_);
  ASSERT_OK(pod);
  const auto status = SandboxOf(pod->pod_sandbox_id()).status();
  EXPECT_EQ(status.linux().namespaces().options().ShortDebugString(), options.ShortDebugString());
}

TEST_F(EchoedFields, AnUpdateForWindowsIsRefusedByName) {
  const auto pod = Run("web");
  ASSERT_OK(pod);
  const auto container = Create(*pod, "main");
  ASSERT_OK(container);
  v1::UpdateContainerResourcesRequest request;
  request.set_container_id(*container);
  request.mutable_windows()->set_cpu_count(1);
  const auto updated = UpdateContainerResources(request, Call(), *pods_);
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().code, ErrorCode::kUnimplemented);
  EXPECT_NE(updated.error().message.find("windows: not supported"), std::string::npos);
}

class StatsLists : public PodsTest {
 protected:
  std::vector<std::string> Containers(const v1::ContainerStatsFilter& filter) {
    v1::ListContainerStatsRequest request;
    *request.mutable_filter() = filter;
    const auto listed = ListContainerStats(request, Call(), *pods_);
    std::vector<std::string> names;
    for (const auto& stats : listed->stats()) names.push_back(stats.attributes().metadata().name());
    return names;
  }
  std::vector<std::string> Sandboxes(const v1::PodSandboxStatsFilter& filter) {
    v1::ListPodSandboxStatsRequest request;
    *request.mutable_filter() = filter;
    const auto listed = ListPodSandboxStats(request, Call(), *pods_);
    std::vector<std::string> names;
    for (const auto& stats : listed->stats()) names.push_back(stats.attributes().metadata().name());
    return names;
  }
};

TEST_F(StatsLists, FilterByIdPodAndLabels) {
  using Names = std::vector<std::string>;
  std::map<std::string, std::string> pods, containers;
  for (const std::string name : {"a", "b"}) {
    const auto pod = Run(name);
    ASSERT_OK(pod);
    pods[name] = *pod;
    auto request = ContainerRequest(*pod, "in-" + name, {"run"});
    (*request.mutable_config()->mutable_labels())["color"] = name == "a" ? "red" : "blue";
    const auto created = CreateContainer(request, Call(), *pods_);
    ASSERT_OK(created);
    containers[name] = created->container_id();
    ASSERT_OK(Start(created->container_id()));
  }
  v1::ContainerStatsFilter filter;
  EXPECT_EQ(Containers(filter).size(), 2u);
  filter.set_id(containers["a"]);
  EXPECT_EQ(Containers(filter), Names{"in-a"});
  filter.set_pod_sandbox_id(pods["b"]);
  EXPECT_EQ(Containers(filter), Names{});
  filter.clear_id();
  EXPECT_EQ(Containers(filter), Names{"in-b"});
  filter.clear_pod_sandbox_id();
  (*filter.mutable_label_selector())["color"] = "red";
  EXPECT_EQ(Containers(filter), Names{"in-a"});

  v1::PodSandboxStatsFilter pod_filter;
  EXPECT_EQ(Sandboxes(pod_filter).size(), 2u);
  pod_filter.set_id(pods["b"]);
  EXPECT_EQ(Sandboxes(pod_filter), Names{"b"});
  (*pod_filter.mutable_label_selector())["app"] = "a";
  EXPECT_EQ(Sandboxes(pod_filter), Names{});
  pod_filter.clear_id();
  EXPECT_EQ(Sandboxes(pod_filter), Names{"a"});
}

}  // namespace
}  // namespace catamaran

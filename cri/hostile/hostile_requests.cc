#include "cri/hostile/hostile_requests.h"

#include <filesystem>

namespace catamaran {

namespace fs = std::filesystem;

void HostileCommand::SetUp() {
  PodsTest::SetUp();
  container_ = Create(Run("web").value(), "main").value();
  ASSERT_OK(Start(container_));
}

size_t HostileCommand::KeptOfAFlood() {
  v1::ExecSyncRequest request;
  request.set_container_id(container_);
  request.add_cmd("flood");
  request.add_cmd(std::to_string(64 << 20));
  auto answer = ExecSync(request, Call(), *pods_);
  EXPECT_TRUE(answer) << answer.error().message;
  return answer ? answer->stdout().size() + answer->stderr().size() : 0;
}

bool HostileCommand::EndsDespiteAChild() {
  v1::ExecSyncRequest request;
  request.set_container_id(container_);
  request.add_cmd("child");
  const CallContext call = Call(5);
  auto answer = ExecSync(request, call, *pods_);
  return answer && !call.deadline.expired();
}

std::vector<std::string> HostileLog::WaysOut() {
  return {"../outside/made", "main/../../outside/made", "./../outside/made", "folder/.."};
}

bool HostileLog::WriteOutside(const std::string& way) {
  const fs::path logs = (folder_ / "logs").value(), outside = (folder_ / "outside").value();
  fs::create_directories(logs / "main");
  fs::create_directories(outside);
  auto pod = PodRequest("web");
  auto container = ContainerRequest("", "main", {"print", "hello"});
  if (way == "folder/..") {
    pod.mutable_config()->set_log_directory(logs / "../outside");
    container.mutable_config()->set_log_path("made");
  } else {
    pod.mutable_config()->set_log_directory(logs);
    container.mutable_config()->set_log_path(way);
  }
  const auto ran = RunPodSandbox(pod, Call(), *pods_);
  if (ran) {
    container.set_pod_sandbox_id(ran->pod_sandbox_id());
    // The kubelet says it with each container as well.
    *container.mutable_sandbox_config() = pod.config();
    const auto created = CreateContainer(container, Call(), *pods_);
    if (created && Start(created->container_id())) AwaitExit(created->container_id());
    EXPECT_TRUE(RemoveSandbox(ran->pod_sandbox_id()));
  }
  const bool made = fs::exists(outside / "made");
  fs::remove_all(outside);
  return made;
}

}  // namespace catamaran

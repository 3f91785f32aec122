#include "e2e/harness/plain_pod.h"

#include <thread>

namespace catamaran::e2e {
namespace {

// A machine may have to boot, in the test node emulated twice over.
constexpr std::chrono::seconds kRunLimit{900};

template <typename Response>
Status StatusOf(const Reply<Response>& reply, const char* verb) {
  if (reply.ok()) return {};
  return tl::unexpected<Error>(Error(reply.error).While(verb));
}

}  // namespace

Status PlainPod::Run() {
  auto* metadata = config_.mutable_metadata();
  metadata->set_name(options_.name);
  metadata->set_namespace_("default");
  metadata->set_uid(options_.name + "-uid");
  config_.set_hostname(options_.name);
  config_.set_log_directory(options_.log_directory);
  config_.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
      v1::CONTAINER);
  if (options_.adjust) options_.adjust(&config_);
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = config_;
  request.set_runtime_handler(options_.handler);
  auto reply = cri_.RunPodSandbox(request, kRunLimit);
  RETURN_IF_ERROR(StatusOf(reply, "RunPodSandbox"));
  pod_id_ = reply->pod_sandbox_id();
  return {};
}

Status PlainPod::Create() {
  v1::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod_id_);
  *request.mutable_sandbox_config() = config_;
  auto* config = request.mutable_config();
  config->mutable_metadata()->set_name("main");
  config->mutable_image()->set_image(options_.image);
  for (const std::string& word : options_.command) config->add_command(word);
  config->set_log_path("main.log");
  config->mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
      v1::CONTAINER);
  if (options_.adjust_container) options_.adjust_container(config);
  auto reply = cri_.CreateContainer(request);
  RETURN_IF_ERROR(StatusOf(reply, "CreateContainer"));
  container_id_ = reply->container_id();
  return {};
}

Status PlainPod::Start() {
  v1::StartContainerRequest request;
  request.set_container_id(container_id_);
  return StatusOf(cri_.StartContainer(request), "StartContainer");
}

Status PlainPod::StopAndRemove() {
  if (pod_id_.empty()) return {};
  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(pod_id_);
  RETURN_IF_ERROR(StatusOf(cri_.StopPodSandbox(stop), "StopPodSandbox"));
  v1::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id(pod_id_);
  RETURN_IF_ERROR(StatusOf(cri_.RemovePodSandbox(remove), "RemovePodSandbox"));
  pod_id_.clear();
  return {};
}

Status PlainPod::WaitForEnd(std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  v1::ContainerStatusRequest request;
  request.set_container_id(container_id_);
  for (;;) {
    auto reply = cri_.ContainerStatus(request);
    RETURN_IF_ERROR(StatusOf(reply, "ContainerStatus"));
    if (reply->status().state() == v1::CONTAINER_EXITED) return {};
    if (std::chrono::steady_clock::now() > end)
      return Fail(ErrorCode::kDeadlineExceeded, "the container still runs after {} s",
                  limit.count());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Result<std::string> PlainPod::Output(const std::vector<std::string>& command) {
  v1::ExecSyncRequest request;
  request.set_container_id(container_id_);
  for (const std::string& word : command) request.add_cmd(word);
  request.set_timeout(60);
  auto reply = cri_.ExecSync(request);
  RETURN_IF_ERROR(StatusOf(reply, "ExecSync"));
  if (reply->exit_code() != 0) {
    return Fail(ErrorCode::kUnknown, "{} exited with {}: {}{}", command[0], reply->exit_code(),
                reply->stdout(), reply->stderr());
  }
  return reply->stdout();
}

Result<v1::PodSandboxStatusResponse> PlainPod::VerboseStatus() {
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(pod_id_);
  request.set_verbose(true);
  auto reply = cri_.PodSandboxStatus(request);
  RETURN_IF_ERROR(StatusOf(reply, "PodSandboxStatus"));
  return reply.response;
}

Result<v1::PodSandboxStats> PlainPod::Stats() {
  v1::PodSandboxStatsRequest request;
  request.set_pod_sandbox_id(pod_id_);
  auto reply = cri_.PodSandboxStats(request);
  RETURN_IF_ERROR(StatusOf(reply, "PodSandboxStats"));
  return reply->stats();
}

}  // namespace catamaran::e2e

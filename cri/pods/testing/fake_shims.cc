#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "cri/pods/testing/fake_world.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using Shim = FakeWorld::Shim;

class FakeShimClient final : public ShimClient {
 public:
  FakeShimClient(FakeWorld& world, std::string pod, std::shared_ptr<Shim> shim)
      : world_(world), pod_(std::move(pod)), shim_(std::move(shim)) {}

  Result<pod::HelloResponse> Hello(Deadline deadline) override {
    RETURN_IF_ERROR(Enter("hello", deadline));
    return pod::HelloResponse();
  }

  Result<pod::PrepareSandboxResponse> PrepareSandbox(const pod::PrepareSandboxRequest&,
                                                     Deadline deadline) override {
    RETURN_IF_ERROR(Enter("prepare-sandbox", deadline));
    std::lock_guard lock(world_.mutex);
    shim_->prepared = true;
    pod::PrepareSandboxResponse response;
    response.mutable_memory_limit_bytes()->set_above(100 << 20);
    response.mutable_memory_limit_bytes()->set_at_most(200 << 20);
    response.mutable_cpu_limit_millis()->set_at_most(1000);
    return response;
  }

  Result<pod::CreateSandboxResponse> CreateSandbox(const pod::CreateSandboxRequest&,
                                                   Deadline deadline) override {
    RETURN_IF_ERROR(Enter("create-sandbox", deadline));
    bool prepared = false;
    {
      std::lock_guard lock(world_.mutex);
      prepared = shim_->prepared;
    }
    if (prepared) RETURN_IF_ERROR(Enter("claim", deadline));
    std::lock_guard lock(world_.mutex);
    shim_->sandbox_ready = true;
    pod::CreateSandboxResponse response;
    if (prepared) response.mutable_details()->insert({"start", "from the pool"});
    response.set_kernel_release("6.1.0-fake");
    return response;
  }

  Status DestroySandbox(Deadline deadline) override {
    RETURN_IF_ERROR(Enter("destroy-sandbox", deadline));
    std::vector<std::string> running;
    {
      std::lock_guard lock(world_.mutex);
      shim_->sandbox_ready = false;
      for (const auto& [id, status] : shim_->containers) {
        if (status.state() == spec::RUNNING) running.push_back(id);
      }
    }
    for (const auto& id : running) world_.Exit(pod_, id, 128 + SIGKILL);
    return {};
  }

  Result<pod::CreateContainerResponse> CreateContainer(const pod::CreateContainerRequest& request,
                                                       Deadline deadline) override {
    RETURN_IF_ERROR(Enter("create-container", deadline));
    std::lock_guard lock(world_.mutex);
    const spec::ContainerSpec& spec = request.container();
    spec::ContainerStatus& status = shim_->containers[spec.container_id()];
    status.set_container_id(spec.container_id());
    status.set_state(spec::CREATED);
    status.set_pid(100);
    const auto& args = spec.process().args();
    shim_->args[spec.container_id()] = {args.begin(), args.end()};
    pod::CreateContainerResponse response;
    response.set_pid(100);
    response.mutable_user()->set_uid(7);
    return response;
  }

  Result<pod::StartContainerResponse> StartContainer(const ContainerId& container,
                                                     Deadline deadline) override {
    RETURN_IF_ERROR(Enter("start-container", deadline));
    pod::StartContainerResponse response;
    response.set_started_at_ns(1'600'000'000'000'000'000);
    std::vector<std::string> args;
    {
      std::lock_guard lock(world_.mutex);
      spec::ContainerStatus& status = shim_->containers[container.value()];
      if (status.state() != spec::CREATED) return Fail(ErrorCode::kFailedPrecondition, "started");
      status.set_state(spec::RUNNING);
      status.set_started_at_ns(response.started_at_ns());
      args = shim_->args[container.value()];
    }
    // Before the answer, as it may happen with a real shim.
    if (args.size() > 1 && args[0] == "exit")
      world_.Exit(pod_, container.value(), std::stoi(args[1]));
    return response;
  }

  Status Signal(const pod::SignalRequest& request, Deadline deadline) override {
    RETURN_IF_ERROR(Enter("signal", deadline));
    const std::string& id = request.process().container_id();
    if (!request.process().exec_id().empty()) {
      EndExec(id, request.process().exec_id(), 128 + request.signal());
      return {};
    }
    {
      std::lock_guard lock(world_.mutex);
      if (shim_->containers[id].state() != spec::RUNNING) return {};
      if (request.signal() != SIGKILL) {
        ++shim_->stop_signals[id];
        if (!shim_->args[id].empty() && shim_->args[id][0] == "trap") return {};
      }
    }
    world_.Exit(pod_, id, 128 + request.signal());
    return {};
  }

  Status RemoveContainer(const ContainerId& container, Deadline deadline) override {
    RETURN_IF_ERROR(Enter("remove-container", deadline));
    std::lock_guard lock(world_.mutex);
    shim_->containers.erase(container.value());
    return {};
  }

  Result<pod::ExecResponse> Exec(const pod::ExecRequest& request, Stdio stdio,
                                 Deadline deadline) override {
    RETURN_IF_ERROR(Enter("exec", deadline));
    const std::string& container = request.container_id();
    const std::string& exec = request.exec_id();
    const std::string& what = request.args(0);
    if (what == "missing") return Fail(ErrorCode::kNotFound, "no such program");
    if (what == "print") RETURN_IF_ERROR(WriteAll(stdio.out.get(), request.args(1)));
    if (what == "flood") {
      // On a thread, as a process would: the pipe is smaller than what is written.
      std::thread([this, self = shim_, container, exec, out = stdio.out.Release(),
                   bytes = std::stoul(request.args(1))] {
        const UniqueFd fd(out);
        (void)WriteAll(fd.get(), std::string(bytes, 'x'));
        EndExec(container, exec, 0);
      }).detach();
      return pod::ExecResponse();
    }
    const bool sleeps = what == "sleep";
    if (sleeps || what == "child") {
      std::lock_guard lock(world_.mutex);
      shim_->execs[sleeps ? exec : exec + "-child"] = std::move(stdio);
    } else {
      stdio = {};
    }
    if (!sleeps) EndExec(container, exec, what == "fail" ? 3 : 0);
    return pod::ExecResponse();
  }

  Status CloseStdin(const pod::CloseStdinRequest&, Deadline) override { return {}; }
  Status ResizeTerminal(const pod::ResizeTerminalRequest&, Deadline) override { return {}; }
  Status UpdateResources(const pod::UpdateResourcesRequest& request, Deadline deadline) override {
    RETURN_IF_ERROR(Enter("update-resources", deadline));
    std::lock_guard lock(world_.mutex);
    shim_->updates.push_back(request);
    return {};
  }

  Result<spec::SandboxStats> Stats(const pod::StatsRequest& request, Deadline deadline) override {
    RETURN_IF_ERROR(Enter("stats", deadline));
    std::lock_guard lock(world_.mutex);
    spec::SandboxStats stats;
    if (request.extent() != pod::StatsRequest::CONTAINERS) {
      stats.mutable_pod()->set_timestamp_ns(1);
      stats.add_interfaces()->set_name("eth0");
    }
    for (const auto& [id, status] : shim_->containers) {
      auto* container = stats.add_containers();
      container->set_container_id(id);
      container->mutable_group()->set_timestamp_ns(1);
      container->mutable_group()->mutable_memory()->set_usage_bytes(4096);
      if (request.extent() == pod::StatsRequest::DETAILS)
        container->mutable_processes()->set_processes(1);
    }
    return stats;
  }

  void AskStats(const pod::StatsRequest& request,
                std::function<void(Result<spec::SandboxStats>)> answered) override {
    {
      std::lock_guard lock(world_.mutex);
      if (shim_->frozen) return;  // it never answers
    }
    answered(Stats(request, Deadline::After(std::chrono::seconds(1))));
  }

  Result<pod::ListResponse> List(Deadline deadline) override {
    RETURN_IF_ERROR(Enter("list", deadline));
    std::lock_guard lock(world_.mutex);
    pod::ListResponse response;
    response.set_sandbox_ready(shim_->sandbox_ready);
    for (const auto& [id, status] : shim_->containers) *response.add_containers() = status;
    return response;
  }

  Result<UniqueFd> DialPort(uint32_t, Deadline) override {
    return Fail(ErrorCode::kUnimplemented, "no ports here");
  }
  Status ReopenLog(const ContainerId&, Deadline deadline) override {
    return Enter("reopen-log", deadline);
  }
  Result<UniqueFd> Attach(const pod::AttachRequest&, Stdio, Deadline deadline) override {
    RETURN_IF_ERROR(Enter("attach-container", deadline));
    return UniqueFd();
  }

  Status Shutdown(Deadline deadline) override {
    RETURN_IF_ERROR(Enter("shutdown", deadline));
    world_.KillShim(pod_);
    return {};
  }

  bool alive() const override {
    std::lock_guard lock(world_.mutex);
    auto found = world_.shims.find(pod_);
    return found != world_.shims.end() && found->second == shim_;
  }

 private:
  Status Enter(const std::string& step, Deadline deadline) {
    RETURN_IF_ERROR(world_.Step(step));
    if (!alive()) return Fail(ErrorCode::kUnavailable, "the shim is gone");
    for (;;) {
      {
        std::lock_guard lock(world_.mutex);
        if (!shim_->frozen) return {};
      }
      if (!alive()) return Fail(ErrorCode::kUnavailable, "the shim is gone");
      if (deadline.expired()) return Fail(ErrorCode::kDeadlineExceeded, "no answer");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  void EndExec(const std::string& container, const std::string& exec, int code) {
    pod::Event event;
    event.mutable_exited()->mutable_process()->set_container_id(container);
    event.mutable_exited()->mutable_process()->set_exec_id(exec);
    event.mutable_exited()->mutable_exit()->set_exit_code(code);
    std::function<void(const pod::Event&)> on_event;
    {
      std::lock_guard lock(world_.mutex);
      shim_->execs.erase(exec);
      on_event = shim_->events.on_event;
    }
    if (on_event) on_event(event);
  }

  FakeWorld& world_;
  const std::string pod_;
  const std::shared_ptr<Shim> shim_;
};

class FakeShimManager final : public ShimManager {
 public:
  explicit FakeShimManager(FakeWorld& world) : world_(world) {}
  // As with a real one: no callback comes any more.
  ~FakeShimManager() override {
    std::lock_guard lock(world_.mutex);
    for (auto& [pod, shim] : world_.shims) shim->events = {};
  }

  Result<std::shared_ptr<ShimClient>> Spawn(const PodId& pod, const ShimPaths& paths, Backend,
                                            const std::string& cgroup_path,
                                            ShimClient::Events events, Deadline) override {
    RETURN_IF_ERROR(world_.Step("spawn"));
    auto shim = std::make_shared<Shim>();
    shim->cgroup = cgroup_path;
    shim->events = std::move(events);
    ASSIGN_OR_RETURN(shim->lock, OpenFile(paths.lock().value(), O_RDWR | O_CREAT, 0600));
    if (flock(shim->lock.get(), LOCK_EX | LOCK_NB) != 0) return FailWithErrno("lock");
    std::lock_guard lock(world_.mutex);
    world_.shims[pod.value()] = shim;
    world_.cgroups.insert(cgroup_path);
    return std::make_shared<FakeShimClient>(world_, pod.value(), shim);
  }

  Result<std::shared_ptr<ShimClient>> Reconnect(const PodId& pod, const ShimPaths&,
                                                ShimClient::Events events,
                                                Deadline deadline) override {
    RETURN_IF_ERROR(world_.Step("reconnect"));
    auto shim = world_.Find(pod.value());
    if (!shim) return Fail(ErrorCode::kNotFound, "its lock is free");
    auto client = std::make_shared<FakeShimClient>(world_, pod.value(), shim);
    RETURN_IF_ERROR(client->Hello(deadline));
    std::lock_guard lock(world_.mutex);
    shim->events = std::move(events);
    return client;
  }

  Status KeepTemplates(const ShimPaths&, const HostPath&) override { return {}; }

 private:
  FakeWorld& world_;
};

}  // namespace

std::unique_ptr<ShimManager> MakeFakeShims(FakeWorld& world) {
  return std::make_unique<FakeShimManager>(world);
}

}  // namespace catamaran

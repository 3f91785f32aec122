#include "sandbox/backend/fake_backend.h"

#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

int64_t NowNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

std::string KeyOf(const std::string& container, const std::string& exec) {
  return container + "/" + exec;
}

// `fail-create 9` and the like.
Status ScriptedFailure(const std::vector<std::string>& args, std::string_view verb) {
  if (args.size() < 2 || args[0] != verb) return {};
  return Fail(static_cast<ErrorCode>(atoi(args[1].c_str())), "{} as the arguments ask for", verb);
}

}  // namespace

FakeBackend::FakeBackend(EventLoop& loop) : loop_(loop) {}

void FakeBackend::SetEventSink(EventSink sink) {
  sink_ = std::move(sink);
  if (!sink_) return;
  for (const auto& event : std::exchange(early_events_, {})) sink_(event);
}

void FakeBackend::Emit(const pod::Event& event) {
  if (sink_) return sink_(event);
  early_events_.push_back(event);
}

void FakeBackend::PrepareSandbox(const pod::PrepareSandboxRequest&,
                                 Completion<pod::PrepareSandboxResponse> done) {
  done(pod::PrepareSandboxResponse());
}

void FakeBackend::CreateSandbox(const pod::CreateSandboxRequest& request,
                                Completion<pod::CreateSandboxResponse> done) {
  if (has_sandbox_)
    return done(Fail(ErrorCode::kAlreadyExists, "sandbox {}", request.sandbox().pod_id()));
  has_sandbox_ = true;
  pod::CreateSandboxResponse response;
  (*response.mutable_details())["launcher"] = "fake";
  response.set_boot_id("00000000-0000-0000-0000-000000000000");
  response.set_kernel_release("fake");
  done(std::move(response));
}

void FakeBackend::DestroySandbox(Done done) {
  for (auto& [key, process] : processes_) process->Signal(SIGKILL);
  has_sandbox_ = false;
  done({});
}

void FakeBackend::CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                                  Completion<pod::CreateContainerResponse> done) {
  const spec::ContainerSpec& spec = request.container();
  if (!has_sandbox_) return done(Fail(ErrorCode::kFailedPrecondition, "there is no sandbox"));
  if (containers_.contains(spec.container_id()))
    return done(Fail(ErrorCode::kAlreadyExists, "container {}", spec.container_id()));
  Container container;
  container.args.assign(spec.process().args().begin(), spec.process().args().end());
  if (auto failure = ScriptedFailure(container.args, "fail-create"); !failure)
    return done(tl::unexpected(failure.error()));
  container.stdio = std::move(stdio);
  container.status.set_container_id(spec.container_id());
  container.status.set_state(spec::CREATED);
  container.status.set_pid(next_pid_++);
  pod::CreateContainerResponse response;
  response.set_pid(container.status.pid());
  containers_[spec.container_id()] = std::move(container);
  done(std::move(response));
}

void FakeBackend::StartContainer(const pod::StartContainerRequest& request,
                                 Completion<pod::StartContainerResponse> done) {
  auto found = containers_.find(request.container_id());
  if (found == containers_.end())
    return done(Fail(ErrorCode::kNotFound, "container {}", request.container_id()));
  Container& container = found->second;
  if (container.status.state() != spec::CREATED)
    return done(Fail(ErrorCode::kFailedPrecondition, "container {} was started already",
                     request.container_id()));
  if (auto failure = ScriptedFailure(container.args, "fail-start"); !failure)
    return done(tl::unexpected(failure.error()));
  container.status.set_state(spec::RUNNING);
  container.status.set_started_at_ns(NowNanoseconds());
  pod::StartContainerResponse response;
  response.set_started_at_ns(container.status.started_at_ns());
  spec::ProcessRef process;
  process.set_container_id(request.container_id());
  Run(process, container.args, std::move(container.stdio));
  done(std::move(response));
}

void FakeBackend::Run(const spec::ProcessRef& process, std::vector<std::string> args, Stdio stdio) {
  processes_[KeyOf(process.container_id(), process.exec_id())] =
      std::make_unique<FakeProcess>(loop_, std::move(args), std::move(stdio),
                                    [this, process](FakeProcess::End end) { OnEnd(process, end); });
}

void FakeBackend::OnEnd(const spec::ProcessRef& process, FakeProcess::End end) {
  processes_.erase(KeyOf(process.container_id(), process.exec_id()));
  if (end.oom) {
    pod::Event oom;
    oom.mutable_oom()->set_container_id(process.container_id());
    Emit(oom);
  }
  pod::Event event;
  *event.mutable_exited()->mutable_process() = process;
  spec::ExitStatus& exit = *event.mutable_exited()->mutable_exit();
  exit.set_exit_code(end.exit_code);
  exit.set_signal(end.signal);
  exit.set_oom_killed(end.oom);
  exit.set_exited_at_ns(NowNanoseconds());
  if (auto found = containers_.find(process.container_id());
      process.exec_id().empty() && found != containers_.end()) {
    found->second.status.set_state(spec::EXITED);
    found->second.status.set_pid(0);
    *found->second.status.mutable_exit() = exit;
  }
  Emit(event);
}

void FakeBackend::Signal(const pod::SignalRequest& request, Done done) {
  const std::string& container = request.process().container_id();
  auto found = containers_.find(container);
  if (found == containers_.end())
    return done(Fail(ErrorCode::kNotFound, "container {}", container));
  if (found->second.status.state() == spec::CREATED && request.process().exec_id().empty()) {
    // Nothing of its own runs yet: the signal ends the process that waits to become it.
    found->second.status.set_state(spec::RUNNING);
    Run(request.process(), {"kill", std::to_string(request.signal())},
        std::move(found->second.stdio));
  }
  auto process = processes_.find(KeyOf(container, request.process().exec_id()));
  if (process != processes_.end()) process->second->Signal(request.signal());
  done({});
}

void FakeBackend::RemoveContainer(const pod::RemoveContainerRequest& request, Done done) {
  if (auto process = processes_.find(KeyOf(request.container_id(), ""));
      process != processes_.end())
    process->second->Signal(SIGKILL);
  containers_.erase(request.container_id());
  done({});
}

void FakeBackend::Exec(const pod::ExecRequest& request, Stdio stdio,
                       Completion<pod::ExecResponse> done) {
  auto found = containers_.find(request.container_id());
  if (found == containers_.end())
    return done(Fail(ErrorCode::kNotFound, "container {}", request.container_id()));
  if (found->second.status.state() != spec::RUNNING)
    return done(
        Fail(ErrorCode::kFailedPrecondition, "container {} does not run", request.container_id()));
  std::vector<std::string> args(request.args().begin(), request.args().end());
  if (auto failure = ScriptedFailure(args, "fail-start"); !failure)
    return done(tl::unexpected(failure.error()));
  spec::ProcessRef process;
  process.set_container_id(request.container_id());
  process.set_exec_id(request.exec_id());
  Run(process, std::move(args), std::move(stdio));
  pod::ExecResponse response;
  response.set_pid(next_pid_++);
  done(std::move(response));
}

void FakeBackend::CloseStdin(const pod::CloseStdinRequest&, Done done) { done({}); }
void FakeBackend::ResizeTerminal(const pod::ResizeTerminalRequest&, Done done) { done({}); }
void FakeBackend::UpdateResources(const pod::UpdateResourcesRequest&, Done done) { done({}); }
void FakeBackend::Pause(Done done) { done({}); }
void FakeBackend::Resume(Done done) { done({}); }

void FakeBackend::Stats(const pod::StatsRequest&, Completion<pod::StatsResponse> done) {
  pod::StatsResponse response;
  response.mutable_stats()->mutable_pod()->set_timestamp_ns(NowNanoseconds());
  for (const auto& [id, container] : containers_)
    response.mutable_stats()->add_containers()->set_container_id(id);
  done(std::move(response));
}

void FakeBackend::List(Completion<pod::ListResponse> done) {
  pod::ListResponse response;
  response.set_sandbox_ready(has_sandbox_);
  for (const auto& [id, container] : containers_) *response.add_containers() = container.status;
  done(std::move(response));
}

void FakeBackend::DialPort(const pod::DialPortRequest& request, Completion<UniqueFd> done) {
  if (request.port() != 7)
    return done(FailErrno(ECONNREFUSED, fmt::format("dial port {}", request.port())));
  auto sockets = MakeSocketPair(SOCK_STREAM);
  if (!sockets) return done(tl::unexpected(std::move(sockets).error()));
  echo_.Cancel();
  echo_fd_ = std::move(sockets->ours);
  auto watch = loop_.WatchFd(echo_fd_.get(), EPOLLIN, [this](uint32_t) {
    char buffer[4096];
    const ssize_t count = read(echo_fd_.get(), buffer, sizeof buffer);
    if (count > 0 && send(echo_fd_.get(), buffer, count, MSG_NOSIGNAL) == count) return;
    echo_.Cancel();
    echo_fd_.Reset();
  });
  if (watch) echo_ = std::move(*watch);
  done(std::move(sockets->theirs));
}

}  // namespace catamaran

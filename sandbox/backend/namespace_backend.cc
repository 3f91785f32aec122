#include "sandbox/backend/namespace_backend.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <map>
#include <optional>

#include "sandbox/backend/namespace_stats.h"
#include "sandbox/backend/sandbox_objects.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/base/trace.h"
#include "sandbox/container/container.h"
#include "sandbox/container/port_dialer.h"
#include "sandbox/kernel/process.h"
#include "sandbox/kernel/sandbox_limits.h"

namespace catamaran {
namespace {

class NamespaceBackend final : public SandboxBackend {
 public:
  explicit NamespaceBackend(EventLoop& loop) : loop_(loop) {
    context_.loop = &loop;
    context_.emit = [this](pod::Event event) { Emit(std::move(event)); };
    context_.find_container = [this](const std::string& id) { return Find(id); };
  }

  void SetEventSink(EventSink sink) override;
  void CreateSandbox(const pod::CreateSandboxRequest& request,
                     Completion<pod::CreateSandboxResponse> done) override;
  void DestroySandbox(Done done) override;
  void CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                       Completion<pod::CreateContainerResponse> done) override;
  void StartContainer(const pod::StartContainerRequest& request,
                      Completion<pod::StartContainerResponse> done) override;
  void Signal(const pod::SignalRequest& request, Done done) override;
  void RemoveContainer(const pod::RemoveContainerRequest& request, Done done) override;
  void Exec(const pod::ExecRequest& request, Stdio stdio,
            Completion<pod::ExecResponse> done) override;
  void CloseStdin(const pod::CloseStdinRequest& request, Done done) override;
  void ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done) override;
  void UpdateResources(const pod::UpdateResourcesRequest& request, Done done) override;
  void Stats(const pod::StatsRequest& request, Completion<pod::StatsResponse> done) override;
  void List(Completion<pod::ListResponse> done) override;
  void DialPort(const pod::DialPortRequest& request, Completion<UniqueFd> done) override;
  void Pause(Done done) override { FreezeOrThaw(true, std::move(done)); }
  void Resume(Done done) override { FreezeOrThaw(false, std::move(done)); }

 private:
  enum class State { kNone, kCreating, kReady, kDestroying, kFailed };

  Container* Find(const std::string& id);
  Result<Container*> Need(const std::string& id);
  void Emit(pod::Event event);
  // Frees the id, and drops the object once it has answered and nothing of it is on the stack.
  void Forget(const std::string& id, Container* container);
  Status BeginSandbox(const spec::SandboxSpec& sandbox);
  void OnNamespaces(Result<SandboxNamespaces> made);
  void WatchInit();
  void RemoveSandboxObjects(Done done);
  void LimitSandbox(const spec::Resources& resources, Done done);
  void FreezeOrThaw(bool freeze, Done done);
  // Runs work that may block in a child; `done` comes with its outcome.
  void RunTask(UniqueFunction<Status()> work, Done done);

  EventLoop& loop_;
  EventSink sink_;
  std::vector<pod::Event> unsent_;
  State state_ = State::kNone;
  std::string reason_;
  SandboxContext context_;
  Completion<pod::CreateSandboxResponse> creating_;  // while CreateSandbox goes on
  std::unique_ptr<SandboxNamespacesMaker> maker_;
  EventLoop::Watch init_watch_;
  std::map<std::string, std::unique_ptr<Container>> containers_;
  std::map<Container*, std::unique_ptr<Container>> leaving_;  // forgotten ones that still answer
  std::map<uint64_t, std::unique_ptr<ChildTask>> tasks_;
  std::map<uint64_t, std::unique_ptr<PortDialer>> dialers_;
  uint64_t next_key_ = 0;
  std::unique_ptr<StatsReader> stats_;
};

Container* NamespaceBackend::Find(const std::string& id) {
  const auto found = containers_.find(id);
  return found == containers_.end() ? nullptr : found->second.get();
}

Result<Container*> NamespaceBackend::Need(const std::string& id) {
  Container* container = Find(id);
  if (container == nullptr) return Fail(ErrorCode::kNotFound, "container \"{}\"", id);
  return container;
}

void NamespaceBackend::SetEventSink(EventSink sink) {
  sink_ = std::move(sink);
  for (auto& event : std::exchange(unsent_, {})) sink_(event);
}

void NamespaceBackend::Emit(pod::Event event) {
  if (sink_) {
    sink_(event);
  } else {
    unsent_.push_back(std::move(event));
  }
}

void NamespaceBackend::Forget(const std::string& id, Container* container) {
  const auto found = containers_.find(id);
  if (found == containers_.end() || found->second.get() != container) return;
  leaving_[container] = std::move(found->second);
  containers_.erase(found);
  // Verbs that wait behind the one that ended it are answered first.
  container->AfterAll([this, container] {
    std::shared_ptr<Container> last(std::move(leaving_.at(container)));
    leaving_.erase(container);
    loop_.Post([last = std::move(last)]() mutable { last.reset(); });
  });
}

void NamespaceBackend::RunTask(UniqueFunction<Status()> work, Done done) {
  const uint64_t key = next_key_++;
  tasks_[key] = ChildTask::Start(loop_, std::move(work),
                                 [this, key, done = std::move(done)](Status outcome) mutable {
                                   AbortStep();
                                   const auto ended = tasks_.extract(key);
                                   done(std::move(outcome));
                                 });
}

Status NamespaceBackend::BeginSandbox(const spec::SandboxSpec& sandbox) {
  if (state_ != State::kNone)
    return Fail(ErrorCode::kAlreadyExists, "this engine has a sandbox, {}", context_.spec.pod_id());
  RETURN_IF_ERROR(ValidateSandbox(sandbox));
  context_.spec = sandbox;
  ASSIGN_OR_RETURN(context_.cgroups, CgroupTree::Open());
  state_ = State::kCreating;
  StepSpan step("cgroup");
  RETURN_IF_ERROR(step.Outcome(context_.cgroups->Create(sandbox.cgroup_path())));
  return WriteSandboxFiles(sandbox);
}

void NamespaceBackend::CreateSandbox(const pod::CreateSandboxRequest& request,
                                     Completion<pod::CreateSandboxResponse> done) {
  auto begun = BeginSandbox(request.sandbox());
  if (!begun && state_ != State::kCreating) {
    done(tl::unexpected(std::move(begun).error()));
    return;
  }
  creating_ = std::move(done);
  if (begun) {
    auto maker = SandboxNamespacesMaker::Start(
        loop_, context_.spec,
        AsStep<SandboxNamespaces>("namespaces", [this](Result<SandboxNamespaces> made) {
          OnNamespaces(std::move(made));
        }));
    if (maker) {
      maker_ = std::move(*maker);
      return;
    }
    begun = tl::unexpected(std::move(maker).error());
  }
  OnNamespaces(tl::unexpected(std::move(begun).error()));
}

void NamespaceBackend::OnNamespaces(Result<SandboxNamespaces> made) {
  auto done = std::move(creating_);
  if (!made) {
    RemoveSandboxObjects([error = std::move(made).error(), done = std::move(done)](
                             const Status&) mutable { done(tl::unexpected(std::move(error))); });
    return;
  }
  context_.namespaces = std::move(*made);
  state_ = State::kReady;
  WatchInit();
  stats_ = std::make_unique<StatsReader>(loop_, context_.cgroups, context_.spec.cgroup_path(),
                                         context_.namespaces.network.get());
  pod::CreateSandboxResponse response;
  if (auto boot_id = ReadBootId()) response.set_boot_id(*boot_id);
  utsname names;
  if (uname(&names) == 0) response.set_kernel_release(names.release);
  done(std::move(response));
}

void NamespaceBackend::WatchInit() {
  const int pidfd = context_.namespaces.init.pidfd.get();
  if (pidfd < 0) return;
  auto watch = loop_.WatchProcess(pidfd, [this, pidfd] {
    init_watch_.Cancel();
    (void)ReapChild(pidfd);
    if (state_ != State::kReady) return;
    state_ = State::kFailed;
    reason_ = "the init of the shared pid namespace has ended";
    pod::Event event;
    event.mutable_failed()->set_reason(reason_);
    Emit(std::move(event));
  });
  if (watch) init_watch_ = std::move(*watch);
}

void NamespaceBackend::RemoveSandboxObjects(Done done) {
  init_watch_.Cancel();
  if (const int pidfd = context_.namespaces.init.pidfd.get(); pidfd >= 0) (void)KillAndReap(pidfd);
  context_.namespaces = {};
  stats_.reset();
  state_ = State::kDestroying;
  RunTask(
      [tree = context_.cgroups, path = context_.spec.cgroup_path(),
       folder = context_.spec.state_directory()]() -> Status {
        RETURN_IF_ERROR(RemoveSandboxGroups(*tree, path));
        return RemoveTree(folder);
      },
      [this, done = std::move(done)](Status status) mutable {
        state_ = status ? State::kNone : State::kFailed;
        if (!status) reason_ = status.error().message;
        done(std::move(status));
      });
}

void NamespaceBackend::DestroySandbox(Done done) {
  if (state_ == State::kNone) {
    done({});
    return;
  }
  if (creating_) {
    // Its child is killed with the maker; what it left is removed below.
    maker_.reset();
    auto cancelled = std::move(creating_);
    cancelled(Fail(ErrorCode::kAborted, "the sandbox is destroyed while it is made"));
  }
  struct Pending {
    size_t left = 1;
    std::optional<Error> failure;
    Done done;
  };
  auto pending = std::make_shared<Pending>();
  pending->done = std::move(done);
  auto finish_one = [this, pending](Status status) {
    if (!status && !pending->failure) pending->failure = std::move(status).error();
    if (--pending->left > 0) return;
    if (pending->failure) {
      pending->done(tl::unexpected(std::move(*pending->failure)));
    } else {
      RemoveSandboxObjects(std::move(pending->done));
    }
  };
  std::vector<std::string> ids;
  for (const auto& [id, container] : containers_) ids.push_back(id);
  for (const auto& id : ids) {
    ++pending->left;
    Container* container = containers_.at(id).get();
    container->Remove([this, id, container, finish_one](Status status) mutable {
      if (status) Forget(id, container);
      finish_one(std::move(status));
    });
  }
  finish_one({});
}

void NamespaceBackend::CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                                       Completion<pod::CreateContainerResponse> done) {
  const std::string& id = request.container().container_id();
  if (state_ != State::kReady) {
    done(Fail(ErrorCode::kFailedPrecondition, "the sandbox is not ready"));
    return;
  }
  if (containers_.contains(id)) {
    done(Fail(ErrorCode::kAlreadyExists, "container \"{}\" exists", id));
    return;
  }
  auto& container = containers_[id];
  container = std::make_unique<Container>(context_, request.container());
  container->Create(std::move(stdio), [this, id, raw = container.get(), done = std::move(done)](
                                          Result<pod::CreateContainerResponse> response) mutable {
    if (!response) Forget(id, raw);
    done(std::move(response));
  });
}

void NamespaceBackend::StartContainer(const pod::StartContainerRequest& request,
                                      Completion<pod::StartContainerResponse> done) {
  auto container = Need(request.container_id());
  if (!container) return done(tl::unexpected(std::move(container).error()));
  (*container)->Start(std::move(done));
}

void NamespaceBackend::Signal(const pod::SignalRequest& request, Done done) {
  auto container = Need(request.process().container_id());
  if (!container) return done(tl::unexpected(std::move(container).error()));
  (*container)->SendSignal(request, std::move(done));
}

void NamespaceBackend::RemoveContainer(const pod::RemoveContainerRequest& request, Done done) {
  const std::string& id = request.container_id();
  Container* container = Find(id);
  if (container == nullptr) return done({});
  container->Remove([this, id, container, done = std::move(done)](Status status) mutable {
    if (status) Forget(id, container);
    done(std::move(status));
  });
}

void NamespaceBackend::Exec(const pod::ExecRequest& request, Stdio stdio,
                            Completion<pod::ExecResponse> done) {
  auto container = Need(request.container_id());
  if (!container) return done(tl::unexpected(std::move(container).error()));
  (*container)->Exec(request, std::move(stdio), std::move(done));
}

void NamespaceBackend::CloseStdin(const pod::CloseStdinRequest& request, Done done) {
  auto container = Need(request.process().container_id());
  if (!container) return done(tl::unexpected(std::move(container).error()));
  (*container)->CloseStdin(request.process(), std::move(done));
}

void NamespaceBackend::ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done) {
  auto container = Need(request.process().container_id());
  if (!container) return done(tl::unexpected(std::move(container).error()));
  (*container)->ResizeTerminal(request, std::move(done));
}

void NamespaceBackend::UpdateResources(const pod::UpdateResourcesRequest& request, Done done) {
  if (request.container_id().empty())
    return LimitSandbox(AddOverhead(request.resources(), request.overhead()), std::move(done));
  auto container = Need(request.container_id());
  if (!container) return done(tl::unexpected(std::move(container).error()));
  (*container)->UpdateResources(request.resources(), std::move(done));
}

void NamespaceBackend::LimitSandbox(const spec::Resources& resources, Done done) {
  if (state_ != State::kReady)
    return done(Fail(ErrorCode::kFailedPrecondition, "the sandbox is not ready"));
  RunTask([tree = context_.cgroups, path = context_.spec.cgroup_path(),
           resources] { return LimitSandboxGroup(*tree, path, resources); },
          std::move(done));
}

void NamespaceBackend::Stats(const pod::StatsRequest& request,
                             Completion<pod::StatsResponse> done) {
  if (!stats_) return done(Fail(ErrorCode::kFailedPrecondition, "the sandbox is not ready"));
  std::vector<StatsReader::Source> sources;
  for (const auto& [id, container] : containers_)
    if (container->cgroup() != nullptr)
      sources.push_back({id, container->cgroup(), container->writable_folder() + "/upper",
                         container->Describe().pid()});
  stats_->Read(request, sources, std::move(done));
}

void NamespaceBackend::List(Completion<pod::ListResponse> done) {
  pod::ListResponse response;
  response.set_sandbox_ready(state_ == State::kReady);
  if (state_ != State::kReady)
    response.set_sandbox_reason(reason_.empty() ? "there is no sandbox" : reason_);
  for (const auto& [id, container] : containers_)
    *response.add_containers() = container->Describe();
  done(std::move(response));
}

void NamespaceBackend::DialPort(const pod::DialPortRequest& request, Completion<UniqueFd> done) {
  if (request.port() == 0 || request.port() > 65535)
    return done(Fail(ErrorCode::kInvalidArgument, "port {}: 1 to 65535 are ports", request.port()));
  if (state_ != State::kReady)
    return done(Fail(ErrorCode::kFailedPrecondition, "the sandbox is not ready"));
  const uint64_t key = next_key_++;
  dialers_[key] = std::make_unique<PortDialer>(
      loop_, context_.namespaces.network.get(), static_cast<uint16_t>(request.port()),
      [this, key, done = std::move(done)](Result<UniqueFd> socket) mutable {
        std::shared_ptr<PortDialer> last(std::move(dialers_.at(key)));
        dialers_.erase(key);
        loop_.Post([last = std::move(last)]() mutable { last.reset(); });
        done(std::move(socket));
      });
}

void NamespaceBackend::FreezeOrThaw(bool freeze, Done done) {
  if (state_ != State::kReady)
    return done(Fail(ErrorCode::kFailedPrecondition, "the sandbox is not ready"));
  std::vector<std::string> paths;
  for (const auto& [id, container] : containers_)
    if (container->cgroup() != nullptr) paths.push_back(container->cgroup()->path());
  RunTask([tree = context_.cgroups, paths, freeze] { return FreezeGroups(*tree, paths, freeze); },
          std::move(done));
}

}  // namespace

Result<std::unique_ptr<SandboxBackend>> MakeNamespaceBackend(EventLoop& loop) {
  // Descriptors 0 to 2 are overwritten in children: none of ours may have such a number.
  while (true) {
    ASSIGN_OR_RETURN(auto filler, OpenFile("/dev/null", O_RDWR));
    if (filler.get() > 2) break;
    [[maybe_unused]] const int standard = filler.Release();
  }
  // A reader that goes away is an error of that write, not the end of all.
  signal(SIGPIPE, SIG_IGN);
  // Inherited by every child, so there is no moment at which a container could look into one
  // (CVE-2019-5736, CVE-2016-9962).
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return FailWithErrno("PR_SET_DUMPABLE");
  return std::unique_ptr<SandboxBackend>(std::make_unique<NamespaceBackend>(loop));
}

}  // namespace catamaran

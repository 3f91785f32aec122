#include "shim/pod_shim.h"

#include <fcntl.h>

#include <cstdio>

#include "sandbox/base/files.h"
#include "sandbox/base/trace.h"

namespace catamaran {
namespace {

// Both ends of a container's standard streams.
struct ContainerPipes {
  Stdio process;
  UniqueFd in, out, err;  // ours
};

Result<ContainerPipes> MakePipes(const spec::ContainerSpec& container) {
  ContainerPipes pipes;
  ASSIGN_OR_RETURN(auto out, MakePipe());
  pipes.process.out = std::move(out.write_end);
  pipes.out = std::move(out.read_end);
  if (!container.process().terminal()) {
    ASSIGN_OR_RETURN(auto err, MakePipe());
    pipes.process.err = std::move(err.write_end);
    pipes.err = std::move(err.read_end);
  }
  if (container.stdin()) {
    ASSIGN_OR_RETURN(auto in, MakePipe());
    pipes.process.in = std::move(in.read_end);
    pipes.in = std::move(in.write_end);
  }
  return pipes;
}

}  // namespace

PodShim::PodShim(EventLoop& loop, std::unique_ptr<SandboxBackend> backend, ExitJournal journal)
    : ForwardingBackend(std::move(backend)), journal_(std::move(journal)), logs_(loop) {
  next().SetEventSink([this](const pod::Event& event) { OnEvent(event); });
}

void PodShim::SetEventSink(EventSink sink) {
  sink_ = std::move(sink);
  if (!sink_) return;
  for (const auto& event : std::exchange(early_events_, {})) sink_(event);
}

void PodShim::Emit(const pod::Event& event) {
  if (sink_) return sink_(event);
  early_events_.push_back(event);
}

void PodShim::OnEvent(const pod::Event& event) {
  if (event.has_exited() && event.exited().process().exec_id().empty()) return OnExit(event);
  Emit(event);
}

void PodShim::OnExit(const pod::Event& event) {
  const std::string& id = event.exited().process().container_id();
  auto found = containers_.find(id);
  // Killed by its own removal: it is forgotten already.
  if (found == containers_.end()) return Emit(event);
  found->second.exited = true;
  found->second.stdin_end.Reset();
  logs_.Drain(id, [this, event] {
    const std::string& id = event.exited().process().container_id();
    if (containers_.contains(id)) {
      if (auto written = journal_.Append(event.exited()); !written)
        fprintf(stderr, "catamaran-shim: %s\n", written.error().message.c_str());
    }
    Emit(event);
  });
}

void PodShim::CreateContainer(const pod::CreateContainerRequest& request, Stdio,
                              Completion<pod::CreateContainerResponse> done) {
  const std::string id = request.container().container_id();
  if (id.empty())
    return done(Fail(ErrorCode::kInvalidArgument, "container_id is empty: an id is needed"));
  if (containers_.contains(id))
    return done(Fail(ErrorCode::kAlreadyExists, "container {} exists", id));
  auto pipes = MakePipes(request.container());
  if (!pipes) return done(tl::unexpected(std::move(pipes).error()));
  containers_[id].stdin_end = std::move(pipes->in);
  Done create = [this, id, request, process = std::move(pipes->process),
                 done = std::move(done)](Result<void> opened) mutable {
    if (!opened) {
      containers_.erase(id);
      return done(tl::unexpected(std::move(opened).error().While("log of container " + id)));
    }
    next().CreateContainer(
        request, std::move(process),
        [this, id, done = std::move(done)](Result<pod::CreateContainerResponse> created) mutable {
          if (!created) {
            logs_.Remove(id);
            containers_.erase(id);
          }
          done(std::move(created));
        });
  };
  logs_.Add(id, request.container().log_path(), std::move(pipes->out), std::move(pipes->err),
            AsStep("log", std::move(create)));
}

void PodShim::StartContainer(const pod::StartContainerRequest& request,
                             Completion<pod::StartContainerResponse> done) {
  next().StartContainer(request, [this, id = request.container_id(), done = std::move(done)](
                                     Result<pod::StartContainerResponse> started) mutable {
    auto found = containers_.find(id);
    if (found != containers_.end())
      (started ? found->second.started : found->second.never_ran) = true;
    done(std::move(started));
  });
}

void PodShim::RemoveContainer(const pod::RemoveContainerRequest& request, Done done) {
  next().RemoveContainer(request, [this, id = request.container_id(),
                                   done = std::move(done)](Result<void> removed) mutable {
    if (!removed) return done(std::move(removed));
    logs_.Remove(id);
    containers_.erase(id);
    done(journal_.Remove(id));
  });
}

void PodShim::CloseStdin(const pod::CloseStdinRequest& request, Done done) {
  if (request.process().exec_id().empty())
    if (auto found = containers_.find(request.process().container_id()); found != containers_.end())
      found->second.stdin_end.Reset();
  next().CloseStdin(request, std::move(done));
}

void PodShim::List(Completion<pod::ListResponse> done) {
  next().List([this, done = std::move(done)](Result<pod::ListResponse> list) mutable {
    if (list) Merge(*list);
    done(std::move(list));
  });
}

// What is journaled is what is; an exit that is not, because its output is still being written, has
// not happened yet.
void PodShim::Merge(pod::ListResponse& list) const {
  std::map<std::string, pod::ProcessExited> missing = journal_.exits();
  for (auto& status : *list.mutable_containers()) {
    const std::string& id = status.container_id();
    const auto journaled = journal_.exits().find(id);
    if (journaled != journal_.exits().end()) {
      status.set_state(spec::EXITED);
      status.set_pid(0);
      *status.mutable_exit() = journaled->second.exit();
      missing.erase(id);
    } else if (const auto found = containers_.find(id); status.state() == spec::EXITED &&
                                                        found != containers_.end() &&
                                                        !found->second.never_ran) {
      status.set_state(spec::RUNNING);
      status.clear_exit();
    }
  }
  for (const auto& [id, exited] : missing) {
    spec::ContainerStatus& status = *list.add_containers();
    status.set_container_id(id);
    status.set_state(spec::EXITED);
    *status.mutable_exit() = exited.exit();
  }
}

Result<PodShim::Container*> PodShim::FindRunning(const std::string& id) {
  const auto found = containers_.find(id);
  if (found == containers_.end()) return Fail(ErrorCode::kNotFound, "container {}", id);
  if (!found->second.started || found->second.exited)
    return Fail(ErrorCode::kFailedPrecondition, "container {} does not run", id);
  return &found->second;
}

void PodShim::ReopenLog(const pod::ReopenLogRequest& request, Done done) {
  const auto container = FindRunning(request.container_id());
  if (!container) return done(tl::unexpected(container.error()));
  logs_.Reopen(request.container_id(), std::move(done));
}

void PodShim::Attach(const pod::AttachRequest& request, Stdio stdio, Completion<UniqueFd> done) {
  const auto container = FindRunning(request.container_id());
  if (!container) return done(tl::unexpected(container.error()));
  UniqueFd in;
  if (request.in() && (*container)->stdin_end.valid()) {
    in.Reset(fcntl((*container)->stdin_end.get(), F_DUPFD_CLOEXEC, 0));
    if (!in.valid()) return done(FailWithErrno("duplicate a pipe"));
  }
  logs_.Attach(request.container_id(), std::move(stdio.out), std::move(stdio.err),
               [in = std::move(in), done = std::move(done)](Result<void> attached) mutable {
                 if (!attached) return done(tl::unexpected(std::move(attached).error()));
                 done(std::move(in));
               });
}

void PodShim::Shutdown(Done done) {
  logs_.Stop([done = std::move(done)]() mutable { done({}); });
}

}  // namespace catamaran

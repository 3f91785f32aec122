// What is done to the processes of a container once it runs.
#include <sched.h>
#include <signal.h>

#include "sandbox/base/files.h"
#include "sandbox/container/cgroup_entry.h"
#include "sandbox/container/container.h"
#include "sandbox/container/init.h"

namespace catamaran {
namespace {

// A manager of groups in a container, as systemd is, moves all processes out of the container's own
// group to pass controllers on, which leaves no room there for others (cgroup-v2.rst, "No Internal
// Process Constraint"): they go where the container's first process is. Nothing where there is
// none.
Result<std::optional<Cgroup>> GroupOfManager(const CgroupTree& tree, const Cgroup& own,
                                             pid_t first) {
  if (tree.kind() != CgroupTree::Kind::kUnified) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string passed_on,
                   ReadFileAt(own.clone_fd(), "cgroup.subtree_control", 4096));
  if (passed_on.find_first_not_of(" \n") == std::string::npos) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string path, tree.PathOf(first));
  if (!path.starts_with(own.path() + "/"))
    return Fail(ErrorCode::kFailedPrecondition,
                "group {} can hold no process, and the container's first is not below it but in {}",
                own.path(), path);
  ASSIGN_OR_RETURN(Cgroup group, tree.OpenGroup(path));
  return std::optional(std::move(group));
}

}  // namespace

spec::ProcessSpec Container::ExecProcess(const pod::ExecRequest& request) const {
  spec::ProcessSpec process = spec_.process();
  *process.mutable_args() = request.args();
  process.set_terminal(request.terminal());
  bool has_term = !request.terminal();
  for (const auto& variable : process.env()) has_term |= variable.rfind("TERM=", 0) == 0;
  if (!has_term) process.add_env("TERM=xterm");
  return process;
}

Status Container::CheckExec(const pod::ExecRequest& request) const {
  if (state_ != spec::RUNNING || !init_)
    return Fail(ErrorCode::kFailedPrecondition, "container {} is not running",
                spec_.container_id());
  if (request.exec_id().empty()) return Fail(ErrorCode::kInvalidArgument, "exec_id is empty");
  if (execs_.contains(request.exec_id()))
    return Fail(ErrorCode::kAlreadyExists, "exec {} exists", request.exec_id());
  if (request.args_size() == 0 || request.args(0).empty())
    return Fail(ErrorCode::kInvalidArgument, "args is empty: a program is needed");
  return {};
}

Status Container::LaunchExec(const pod::ExecRequest& request, Stdio stdio,
                             const std::shared_ptr<Completion<pod::ExecResponse>>& done) {
  RETURN_IF_ERROR(CheckExec(request));
  const spec::ProcessSpec process = ExecProcess(request);
  ExecInput input;
  input.process = &process;
  input.container_pidfd = init_->pidfd();
  input.devpts_fd = devpts_.get();
  if (plan_.user_namespace) input.user_namespace = &*plan_.user_namespace;
  input.capabilities = capabilities_;
  input.ambient = ambient_;
  input.seccomp = seccomp_;
  input.stdio = {stdio.in.get(), stdio.out.get(), stdio.err.get()};
  ContainerProcess::Options options;
  options.terminal = request.terminal();
  options.start = Launcher::Signal::kTold;
  ASSIGN_OR_RETURN(const auto managed, GroupOfManager(*sandbox_.cgroups, *cgroup_, init_->pid()));
  const CgroupEntry entry = EntryInto(*sandbox_.cgroups, managed ? *managed : *cgroup_);
  options.clone.cgroup_fd = entry.clone_fd;
  input.cgroup = entry.join;
  std::optional<ScopedNamespace> scope;
  if (spec_.pid() != spec::NODE) {
    ASSIGN_OR_RETURN(scope, ScopedNamespace::Enter(init_->pidfd(), CLONE_NEWPID));
  }
  const std::string& id = request.exec_id();
  auto failure = std::make_shared<Error>(
      Error{ErrorCode::kInternal, 0, "the process ended before it was prepared"});
  auto on_started = [this, id, done, failure](Status status) {
    if (!status) {
      *failure = std::move(status).error();
      return;
    }
    pod::ExecResponse response;
    response.set_pid(execs_.at(id)->pid());
    auto callback = std::move(*done);
    callback(std::move(response));
  };
  auto on_prepared = [this, id, failure, on_started](Result<spec::ResolvedUser> user) {
    if (user) {
      execs_.at(id)->Start(on_started);
    } else {
      *failure = std::move(user).error();
    }
  };
  auto on_exited = [this, id, done, failure](ProcessEnd end) {
    if (*done) {
      auto callback = std::move(*done);
      auto ended = std::move(execs_.at(id));
      execs_.erase(id);
      callback(tl::unexpected(std::move(*failure)));
      FinishRemoveIfEnded();
    } else {
      OnExecExit(id, end);
    }
  };
  ASSIGN_OR_RETURN(execs_[id], ContainerProcess::Launch(
                                   *sandbox_.loop, options,
                                   [&input](const StageChannel& channel) {
                                     input.channel = &channel;
                                     return RunExecInit(input);
                                   },
                                   std::move(stdio), std::move(on_prepared), std::move(on_exited)));
  return {};
}

void Container::Exec(const pod::ExecRequest& request, Stdio stdio,
                     Completion<pod::ExecResponse> done) {
  queue_.Add([this, request, stdio = std::move(stdio),
              done = std::move(done)](SerialQueue::Finished finished) mutable {
    auto shared = std::make_shared<Completion<pod::ExecResponse>>(std::move(done));
    auto launched = LaunchExec(request, std::move(stdio), shared);
    if (!launched) {
      if (auto found = execs_.find(request.exec_id());
          found != execs_.end() && found->second == nullptr)
        execs_.erase(found);
      (*shared)(tl::unexpected(std::move(launched).error()));
    }
    finished();
  });
}

void Container::OnExecExit(const std::string& exec_id, ProcessEnd end) {
  auto ended = std::move(execs_.at(exec_id));
  execs_.erase(exec_id);
  ReportOomKills();
  pod::Event event;
  event.mutable_exited()->mutable_process()->set_container_id(spec_.container_id());
  event.mutable_exited()->mutable_process()->set_exec_id(exec_id);
  *event.mutable_exited()->mutable_exit() = ExitOf(end);
  sandbox_.emit(std::move(event));
  FinishRemoveIfEnded();
}

ContainerProcess* Container::Find(const spec::ProcessRef& process) {
  if (process.exec_id().empty()) return init_.get();
  const auto found = execs_.find(process.exec_id());
  return found == execs_.end() ? nullptr : found->second.get();
}

Status Container::SignalAll(int signal) {
  if (!cgroup_) return {};
  if (signal == SIGKILL) {
    // Sent at once; nobody waits here.
    auto killed = cgroup_->KillAll(Deadline::After(std::chrono::milliseconds(0)));
    if (!killed && killed.error().code != ErrorCode::kDeadlineExceeded) return killed;
    return {};
  }
  ASSIGN_OR_RETURN(const auto processes, cgroup_->Processes(Cgroup::Depth::kTree));
  for (const pid_t pid : processes)
    if (kill(pid, signal) != 0 && errno != ESRCH) return FailWithErrno("signal {}", signal);
  return {};
}

Status Container::SignalOne(const pod::SignalRequest& request) {
  if (request.signal() < 1 || request.signal() > SIGRTMAX)
    return Fail(ErrorCode::kInvalidArgument, "signal {}: 1 to {} are known", request.signal(),
                SIGRTMAX);
  if (state_ == spec::EXITED && !request.all()) return {};
  const bool first = request.process().exec_id().empty();
  if (request.signal() == SIGKILL && (first || request.all())) killed_by_request_ = true;
  if (request.all()) return SignalAll(request.signal());
  ContainerProcess* process = Find(request.process());
  return process == nullptr ? Status() : process->Signal(request.signal());
}

void Container::SendSignal(const pod::SignalRequest& request, Done done) {
  queue_.Add([this, request, done = std::move(done)](SerialQueue::Finished finished) mutable {
    done(SignalOne(request));
    finished();
  });
}

void Container::CloseStdin(const spec::ProcessRef& process, Done done) {
  queue_.Add([this, process, done = std::move(done)](SerialQueue::Finished finished) mutable {
    if (ContainerProcess* found = Find(process)) found->CloseInput();
    done({});
    finished();
  });
}

void Container::ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done) {
  queue_.Add([this, request, done = std::move(done)](SerialQueue::Finished finished) mutable {
    ContainerProcess* found = Find(request.process());
    done(found == nullptr ? Status() : found->Resize(request.columns(), request.rows()));
    finished();
  });
}

void Container::UpdateResources(const spec::Resources& resources, Done done) {
  queue_.Add([this, resources, done = std::move(done)](SerialQueue::Finished finished) mutable {
    done(cgroup_ ? cgroup_->Apply(resources) : Status());
    finished();
  });
}

}  // namespace catamaran

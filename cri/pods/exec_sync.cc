#include <sys/eventfd.h>

#include <csignal>

#include "cri/pods/identity.h"
#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/output_capture.h"
#include "cri/pods/shim_link.h"
#include "cri/pods/wait.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

// Both streams together must fit into one gRPC message of 16 MiB.
constexpr size_t kOutputLimit = (16 << 20) - 4096;
// How long background children that hold the pipes may keep the call after the process itself has
// ended; and how long the process may take to die of SIGKILL.
constexpr seconds kDrainLimit{1};
constexpr seconds kKillLimit{5};

// The pod's entry under which the shim's report of the exit is found, for as long as this lives.
class ExitNotice {
 public:
  static Result<ExitNotice> Register(std::shared_ptr<Pod> pod, std::string exec_id) {
    auto wait = std::make_shared<ExecWait>();
    wait->finished.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wait->finished.valid()) return FailWithErrno("eventfd");
    {
      std::lock_guard lock(pod->mutex);
      pod->execs[exec_id] = wait;
    }
    return ExitNotice(std::move(pod), std::move(exec_id), std::move(wait));
  }
  ExitNotice(ExitNotice&&) = default;
  ExitNotice& operator=(ExitNotice&&) = delete;
  ~ExitNotice() {
    if (!pod_) return;
    std::lock_guard lock(pod_->mutex);
    pod_->execs.erase(exec_id_);
  }

  int fd() const { return wait_->finished.get(); }
  Result<spec::ExitStatus> Exit() const {
    std::lock_guard lock(pod_->mutex);
    if (wait_->exit) return *wait_->exit;
    return Fail(ErrorCode::kUnavailable, "the shim went away before the process ended");
  }

 private:
  ExitNotice(std::shared_ptr<Pod> pod, std::string exec_id, std::shared_ptr<ExecWait> wait)
      : pod_(std::move(pod)), exec_id_(std::move(exec_id)), wait_(std::move(wait)) {}
  std::shared_ptr<Pod> pod_;
  std::string exec_id_;
  std::shared_ptr<ExecWait> wait_;
};

Status Validate(const v1::ExecSyncRequest& request) {
  if (request.cmd().empty())
    return Fail(ErrorCode::kInvalidArgument, "cmd: is empty; a program to run is wanted");
  if (request.timeout() < 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "timeout: {} is negative; seconds are wanted, 0 for none", request.timeout());
  }
  return {};
}

Status RequireRunning(const PodTable::Member& member) {
  std::lock_guard lock(member.pod->mutex);
  if (member.container->state() == ContainerState::kRunning) return {};
  return Fail(ErrorCode::kFailedPrecondition, "container {} is {}: only a running one can exec",
              member.container->id.value(), Name(member.container->state()));
}

struct Execution {
  std::string exec_id;
  ExitNotice notice;
  OutputCapture output;
};

// Kills the exec'd process, should there be one: a shim carries verbs of one container out in
// order, so this also reaches one whose start has not been answered.
Status Kill(const PodTable::Member& member, const PodInUse& in_use, const std::string& exec_id,
            Deadline deadline) {
  pod::SignalRequest kill;
  kill.mutable_process()->set_container_id(member.container->id.value());
  kill.mutable_process()->set_exec_id(exec_id);
  kill.set_signal(SIGKILL);
  return in_use.shim->Signal(kill, deadline);
}

Result<Execution> Begin(const PodTable::Member& member, const PodInUse& in_use,
                        const v1::ExecSyncRequest& request, Deadline deadline) {
  ASSIGN_OR_RETURN(std::string exec_id, NewId());
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  ASSIGN_OR_RETURN(auto output, OutputCapture::Start(std::move(out.read_end),
                                                     std::move(err.read_end), kOutputLimit));
  ASSIGN_OR_RETURN(auto notice, ExitNotice::Register(member.pod, exec_id));
  pod::ExecRequest exec;
  exec.set_container_id(member.container->id.value());
  exec.set_exec_id(exec_id);
  *exec.mutable_args() = request.cmd();
  Stdio stdio;
  stdio.out = std::move(out.write_end);
  stdio.err = std::move(err.write_end);
  auto started = in_use.shim->Exec(exec, std::move(stdio), deadline);
  if (!started) {
    if (started.error().code == ErrorCode::kDeadlineExceeded)
      (void)Kill(member, in_use, exec_id, Deadline::After(kKillLimit));
    return tl::unexpected(std::move(started).error());
  }
  return Execution{std::move(exec_id), std::move(notice), std::move(output)};
}

// Reads output until the process has ended. False where the time was over or the caller gone.
Result<bool> Follow(Execution& execution, Deadline deadline, const CallContext& call) {
  for (;;) {
    ASSIGN_OR_RETURN(const bool ended,
                     execution.output.ReadUntil(execution.notice.fd(),
                                                deadline.Earlier(Deadline::After(kCancelPoll))));
    if (ended) return true;
    if (deadline.expired() || call.cancelled()) return false;
  }
}

// The process is gone when this returns, unless neither it nor its shim can be reached.
void KillAndFollow(const PodTable::Member& member, const PodInUse& in_use, Execution& execution) {
  const CallContext own{.deadline = Deadline::After(kKillLimit)};
  if (Kill(member, in_use, execution.exec_id, own.deadline))
    (void)Follow(execution, own.deadline, own);
}

}  // namespace

Result<v1::ExecSyncResponse> ExecSync(const v1::ExecSyncRequest& request, const CallContext& call,
                                      Pods& pods) {
  RETURN_IF_ERROR(Validate(request));
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  RETURN_IF_ERROR(RequireRunning(member));
  ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods, member.pod, call));

  Deadline deadline = call.deadline;
  // A year stands for every longer time, which the clock could not hold.
  const seconds timeout(std::min<int64_t>(request.timeout(), 365L * 24 * 3600));
  if (timeout.count() > 0) deadline = deadline.Earlier(Deadline::After(timeout));

  ASSIGN_OR_RETURN(Execution execution, Begin(member, in_use, request, deadline));
  ASSIGN_OR_RETURN(const bool ended, Follow(execution, deadline, call));
  if (!ended) {
    KillAndFollow(member, in_use, execution);
    if (call.cancelled()) return Fail(ErrorCode::kAborted, "the caller has gone");
    return Fail(ErrorCode::kDeadlineExceeded, "{} did not end within {} s and was killed",
                request.cmd(0), timeout.count());
  }
  ASSIGN_OR_RETURN(const spec::ExitStatus exit, execution.notice.Exit());
  RETURN_IF_ERROR(execution.output.Drain(deadline.Earlier(Deadline::After(kDrainLimit))));

  v1::ExecSyncResponse response;
  response.set_exit_code(exit.exit_code());
  response.set_stdout(execution.output.TakeOut());
  response.set_stderr(execution.output.TakeErr());
  return response;
}

}  // namespace catamaran

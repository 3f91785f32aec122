#include <csignal>

#include "cri/pods/exec_sync_limits.h"
#include "cri/pods/execution.h"
#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/output_capture.h"
#include "cri/pods/wait.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

// How long the process may take to die of SIGKILL.
constexpr seconds kKillLimit{5};

Status Validate(const v1::ExecSyncRequest& request) {
  if (request.cmd().empty())
    return Fail(ErrorCode::kInvalidArgument, "cmd: is empty; a program to run is wanted");
  if (request.timeout() < 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "timeout: {} is negative; seconds are wanted, 0 for none", request.timeout());
  }
  return {};
}

struct CapturedExecution {
  Execution process;
  OutputCapture output;
};

Result<CapturedExecution> Begin(const PodTable::Member& member, const PodInUse& in_use,
                                const v1::ExecSyncRequest& request, Deadline deadline) {
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  ASSIGN_OR_RETURN(auto output,
                   OutputCapture::Start(std::move(out.read_end), std::move(err.read_end),
                                        kExecSyncLimits.output));
  pod::ExecRequest exec;
  *exec.mutable_args() = request.cmd();
  Stdio stdio;
  stdio.out = std::move(out.write_end);
  stdio.err = std::move(err.write_end);
  ASSIGN_OR_RETURN(auto process,
                   Execution::Start(member, in_use, std::move(exec), std::move(stdio), deadline));
  return CapturedExecution{std::move(process), std::move(output)};
}

// Reads output until the process has ended. False where the time was over or the caller gone.
Result<bool> Follow(CapturedExecution& execution, Deadline deadline, const CallContext& call) {
  for (;;) {
    ASSIGN_OR_RETURN(const bool ended,
                     execution.output.ReadUntil(execution.process.ended_fd(),
                                                deadline.Earlier(Deadline::After(kCancelPoll))));
    if (ended) return true;
    if (deadline.expired() || call.cancelled()) return false;
  }
}

// The process is gone when this returns, unless neither it nor its shim can be reached.
void KillAndFollow(CapturedExecution& execution) {
  const CallContext own{.deadline = Deadline::After(kKillLimit)};
  if (execution.process.Signal(SIGKILL, own.deadline)) (void)Follow(execution, own.deadline, own);
}

}  // namespace

Result<v1::ExecSyncResponse> ExecSync(const v1::ExecSyncRequest& request, const CallContext& call,
                                      Pods& pods) {
  RETURN_IF_ERROR(Validate(request));
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  RETURN_IF_ERROR(RequireRunning(member, "only a running one can exec"));
  ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods, member.pod, call));

  Deadline deadline = call.deadline;
  // A year stands for every longer time, which the clock could not hold.
  const seconds timeout(std::min<int64_t>(request.timeout(), 365L * 24 * 3600));
  if (timeout.count() > 0) deadline = deadline.Earlier(Deadline::After(timeout));

  ASSIGN_OR_RETURN(CapturedExecution execution, Begin(member, in_use, request, deadline));
  ASSIGN_OR_RETURN(const bool ended, Follow(execution, deadline, call));
  if (!ended) {
    KillAndFollow(execution);
    if (call.cancelled()) return Fail(ErrorCode::kAborted, "the caller has gone");
    return Fail(ErrorCode::kDeadlineExceeded, "{} did not end within {} s and was killed",
                request.cmd(0), timeout.count());
  }
  ASSIGN_OR_RETURN(const spec::ExitStatus exit, execution.process.Exit());
  RETURN_IF_ERROR(execution.output.Drain(deadline.Earlier(Deadline::After(kExecSyncLimits.drain))));

  v1::ExecSyncResponse response;
  response.set_exit_code(exit.exit_code());
  response.set_stdout(execution.output.TakeOut());
  response.set_stderr(execution.output.TakeErr());
  return response;
}

}  // namespace catamaran

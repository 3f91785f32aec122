#include "cri/pods/execution.h"

#include <sys/eventfd.h>

#include <csignal>

#include "cri/pods/identity.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kKillLimit{5};

}  // namespace

Result<Execution> Execution::Start(const PodTable::Member& member, const PodInUse& in_use,
                                   pod::ExecRequest request, Stdio stdio, Deadline deadline) {
  ASSIGN_OR_RETURN(std::string exec_id, NewId());
  Execution execution(member, in_use, std::move(exec_id));
  auto wait = std::make_shared<ExecWait>();
  wait->finished.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wait->finished.valid()) return FailWithErrno("eventfd");
  {
    std::lock_guard lock(member.pod->mutex);
    member.pod->execs[execution.exec_id_] = wait;
  }
  execution.wait_ = std::move(wait);
  request.set_container_id(execution.container_id_);
  request.set_exec_id(execution.exec_id_);
  auto started = in_use.shim->Exec(request, std::move(stdio), deadline);
  if (started) return execution;
  // A shim carries verbs of one container out in order, so this also reaches a process whose start
  // was not answered.
  if (started.error().code == ErrorCode::kDeadlineExceeded)
    (void)execution.Signal(SIGKILL, Deadline::After(kKillLimit));
  return tl::unexpected(std::move(started).error());
}

Execution::~Execution() {
  if (!wait_) return;
  std::lock_guard lock(pod_->mutex);
  pod_->execs.erase(exec_id_);
}

Result<spec::ExitStatus> Execution::Exit() const {
  std::lock_guard lock(pod_->mutex);
  if (wait_->exit) return *wait_->exit;
  return Fail(ErrorCode::kUnavailable, "the shim went away before the process ended");
}

Result<std::shared_ptr<ShimClient>> Execution::Shim() const {
  auto shim = shim_.lock();
  if (!shim) return Fail(ErrorCode::kUnavailable, "the shim of pod {} is gone", pod_->id.value());
  return shim;
}

spec::ProcessRef Execution::Process() const {
  spec::ProcessRef process;
  process.set_container_id(container_id_);
  process.set_exec_id(exec_id_);
  return process;
}

Status Execution::Signal(int signal, Deadline deadline) const {
  ASSIGN_OR_RETURN(const auto shim, Shim());
  pod::SignalRequest request;
  *request.mutable_process() = Process();
  request.set_signal(signal);
  return shim->Signal(request, deadline);
}

Status Execution::Resize(uint32_t columns, uint32_t rows, Deadline deadline) const {
  ASSIGN_OR_RETURN(const auto shim, Shim());
  pod::ResizeTerminalRequest request;
  *request.mutable_process() = Process();
  request.set_columns(columns);
  request.set_rows(rows);
  return shim->ResizeTerminal(request, deadline);
}

}  // namespace catamaran

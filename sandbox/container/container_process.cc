#include "sandbox/container/container_process.h"

#include <signal.h>

namespace catamaran {

Result<std::unique_ptr<ContainerProcess>> ContainerProcess::Launch(EventLoop& loop, Options options,
                                                                   Launcher::Body body, Stdio stdio,
                                                                   Launcher::Prepared prepared,
                                                                   Exited exited) {
  std::unique_ptr<ContainerProcess> process(new ContainerProcess(loop));
  ContainerProcess* raw = process.get();
  process->terminal_ = options.terminal;
  process->start_ = options.start;
  process->exited_ = std::move(exited);
  ASSIGN_OR_RETURN(process->launcher_,
                   Launcher::Clone(loop, options.clone, options.entry, std::move(body),
                                   [raw, prepared = std::move(prepared)](
                                       Result<spec::ResolvedUser> user) mutable {
                                     if (user && raw->terminal_) {
                                       if (auto pumping = raw->StartPump(); !pumping) {
                                         raw->Signal(SIGKILL).map_error([](const Error&) {});
                                         prepared(tl::unexpected(std::move(pumping).error()));
                                         return;
                                       }
                                     }
                                     prepared(std::move(user));
                                   }));
  process->process_ = process->launcher_->TakeProcess();
  // A pipe's ends now are the child's alone; a terminal's are carried by the pump.
  if (options.terminal) process->stdio_ = std::move(stdio);
  auto watch = loop.WatchProcess(process->process_.pidfd.get(), [raw] { raw->OnExit(); });
  if (!watch) {
    KillAndReap(process->process_.pidfd.get()).map_error([](const Error&) {});
    return tl::unexpected(std::move(watch).error());
  }
  process->exit_watch_ = std::move(*watch);
  return process;
}

Status ContainerProcess::StartPump() {
  ASSIGN_OR_RETURN(pump_, TerminalPump::Start(loop_, launcher_->TakeTerminal(),
                                              std::move(stdio_.in), std::move(stdio_.out)));
  return {};
}

void ContainerProcess::Start(Launcher::Started started) {
  launcher_->Start(start_, std::move(started));
}

void ContainerProcess::CloseInput() {
  if (pump_) pump_->CloseInput();
  // Without a terminal the process has the caller's descriptor itself: the caller closes the end
  // that it kept.
}

Status ContainerProcess::Resize(uint32_t columns, uint32_t rows) {
  if (!pump_) return Fail(ErrorCode::kFailedPrecondition, "the process has no terminal");
  return pump_->Resize(columns, rows);
}

void ContainerProcess::OnExit() {
  exit_watch_.Cancel();
  launcher_->Drain();
  auto reaped = ReapChild(process_.pidfd.get());
  // Somebody else reaped it: how it ended is lost.
  ProcessEnd end{255, 0};
  if (reaped && *reaped) end = **reaped;
  auto finish = [this, end] {
    auto exited = std::move(exited_);
    exited(end);
  };
  if (pump_) {
    pump_->Finish(std::move(finish));
  } else {
    finish();
  }
}

}  // namespace catamaran

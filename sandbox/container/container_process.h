#pragma once

#include <memory>
#include <string>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/container/launcher.h"
#include "sandbox/container/mapped_process.h"
#include "sandbox/container/terminal_pump.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"

namespace catamaran {

// One process of a container that this engine started: its start, its terminal and its end. On the
// loop's thread only. Destroying it lets go of the process; it is not killed.
class ContainerProcess {
 public:
  using Exited = UniqueFunction<void(ProcessEnd)>;

  struct Options {
    CloneOptions clone;
    UserNamespaceEntry entry;
    bool terminal = false;
    Launcher::Signal start = Launcher::Signal::kSend;
  };
  // `prepared` as Launcher::Clone; `exited` once, after the process was reaped and, with a
  // terminal, its output handed over; it may destroy this object. It comes also after a failed
  // preparation or start.
  static Result<std::unique_ptr<ContainerProcess>> Launch(EventLoop& loop, Options options,
                                                          Launcher::Body body, Stdio stdio,
                                                          Launcher::Prepared prepared,
                                                          Exited exited);

  void WhenBuilt(Launcher::Built built) { launcher_->WhenBuilt(std::move(built)); }
  Status Continue() { return launcher_->Continue(); }
  void Start(Launcher::Started started);
  Status Signal(int signal) { return SendSignal(process_.pidfd.get(), signal); }
  void CloseInput();
  // kFailedPrecondition without a terminal.
  Status Resize(uint32_t columns, uint32_t rows);

  int pid() const { return process_.pid; }
  int pidfd() const { return process_.pidfd.get(); }
  UniqueFd TakeDevpts() { return launcher_->TakeDevpts(); }

 private:
  explicit ContainerProcess(EventLoop& loop) : loop_(loop) {}
  Status StartPump();
  void OnExit();

  EventLoop& loop_;
  bool terminal_ = false;
  Launcher::Signal start_ = Launcher::Signal::kSend;
  ChildProcess process_;
  Stdio stdio_;  // with a terminal: what the pump gets
  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<TerminalPump> pump_;
  EventLoop::Watch exit_watch_;
  Exited exited_;
};

}  // namespace catamaran

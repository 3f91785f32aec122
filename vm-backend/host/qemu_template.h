#pragma once

#include <memory>

#include "sandbox/kernel/event_loop.h"
#include "vm-backend/host/qemu_command.h"
#include "vm-backend/host/qemu_vm.h"
#include "vm-backend/templates/template_keeper.h"

namespace catamaran {

// All of a machine that its template depends on, and back. The card's address and whether there is
// a tap are not part of it: a guest gets both after the restore.
vm::TemplateRequest TemplateRequestFor(const QemuMachine& machine);
Result<QemuMachine> MachineOfRequest(const vm::TemplateRequest& request);

// Makes templates: boots QEMU with shared guest RAM, waits until the agent answers, then saves the
// device state without the RAM (migration capability x-ignore-shared). Forks: single-threaded
// processes only.
std::unique_ptr<TemplateMaker> MakeQemuTemplateMaker(EventLoop& loop);

// Moves a machine's device state through the monitor and waits for the end: `command` is "migrate"
// (into the file behind `state`) or "migrate-incoming" (from it, from its current position; QEMU
// gets a copy of the descriptor). Done at most once, never after the machine's monitor is gone.
class QemuStateTransfer {
 public:
  static std::unique_ptr<QemuStateTransfer> Begin(EventLoop& loop, QemuVm& machine,
                                                  const std::string& command, int state, Done done);

 private:
  QemuStateTransfer(EventLoop& loop, QemuVm& machine, Done done)
      : loop_(loop), machine_(machine), done_(std::move(done)) {}
  void Ask();
  void OnAnswer(const std::string& status, const std::string& why);
  void Finish(Status outcome);

  EventLoop& loop_;
  QemuVm& machine_;
  Done done_;
  EventLoop::Watch timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace catamaran

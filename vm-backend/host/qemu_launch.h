#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "vm-backend/host/qemu_template.h"
#include "vm-backend/host/qemu_vm.h"
#include "vm-backend/templates/template_client.h"

namespace catamaran {

// What a launch finds out and prepares in a child, because it takes time or touches the disk.
struct HostFindings {
  Status kvm;  // the probe's
  uint64_t tsc_khz = 0;
};
// As text, to cross from the child.
std::string EncodeFindings(const HostFindings& findings);
HostFindings DecodeFindings(const std::string& text);

// The machine that a sandbox asks for on this host. kFailedPrecondition where the host cannot run
// it, kInvalidArgument naming the field where the specification cannot be right.
Result<QemuMachine> ResolveMachine(const spec::SandboxSpec& sandbox, const HostFindings& findings);

// A tap in the pod's network namespace whose frames go to and come from the pod's interface, which
// keeps the addresses that the guest gets: the pod's own stack never sees a frame again.
Result<UniqueFd> MakePodTap(const spec::SandboxSpec& sandbox);

// One launch under way: a pod's disk and the host's probe in two children, then QEMU, as a clone of
// a template where there is one.
class QemuLaunch : public std::enable_shared_from_this<QemuLaunch> {
 public:
  using Outcome = Completion<std::unique_ptr<VirtualMachine>>;
  QemuLaunch(EventLoop& loop, const spec::SandboxSpec& sandbox, Outcome done);
  // Keeps itself alive until it calls `done`.
  void Begin();

 private:
  void Prepared();
  void AskForTemplate();
  void Clone(const Template& found);
  void Boot(const std::string& why);
  QemuStart PlanStart() const;
  Status Run(const QemuStart& start);
  void AttachWritableDisk();
  void Finish(Result<std::unique_ptr<VirtualMachine>> result);
  HostPath WritableDisk() const;

  EventLoop& loop_;
  spec::SandboxSpec sandbox_;
  Outcome done_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::unique_ptr<ChildTask> probe_;
  std::unique_ptr<ChildTask> disk_;
  HostFindings findings_;
  Status disk_made_;
  int tasks_left_ = 2;
  QemuMachine machine_;
  UniqueFd tap_;
  std::unique_ptr<TemplateQuestion> question_;
  std::unique_ptr<QemuStateTransfer> restoring_;
  std::unique_ptr<QemuVm> vm_;
};

}  // namespace catamaran

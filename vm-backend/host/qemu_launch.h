#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "vm-backend/host/host_findings.h"
#include "vm-backend/host/qemu_template.h"
#include "vm-backend/host/qemu_vm.h"
#include "vm-backend/templates/template_client.h"

namespace catamaran {

inline constexpr char kDefaultQemu[] = "/usr/bin/qemu-system-x86_64";
// The program that a machine is run with; an error naming the field where it cannot be executed.
Result<std::string> QemuProgram(const spec::MachineSpec& machine);

// The machine that a sandbox asks for on this host. kFailedPrecondition where the host cannot run
// it, kInvalidArgument naming the field where the specification cannot be right.
Result<QemuMachine> ResolveMachine(const spec::SandboxSpec& sandbox, const HostFindings& findings);

// One launch under way: a pod's disk in a child and, where no shim of this boot has looked yet, the
// host's probe in another; then QEMU, as a clone of a template where there is one. Ahead of its pod
// it is such a clone or nothing.
class QemuLaunch : public std::enable_shared_from_this<QemuLaunch> {
 public:
  using Outcome = Completion<std::unique_ptr<VirtualMachine>>;
  enum class Purpose { kPod, kAhead };
  QemuLaunch(EventLoop& loop, const spec::SandboxSpec& sandbox, Purpose purpose, Outcome done);
  // Keeps itself alive until it calls `done`.
  void Begin();

 private:
  void FindOut();
  void Prepared();
  Status MakeTap();
  void AskForTemplate();
  void Clone(const Template& found);
  void Boot(const std::string& why);
  QemuStart PlanStart() const;
  Status Run(const QemuStart& start);
  void AwaitClaim();
  void AttachWritableDisk();
  void Finish(Result<std::unique_ptr<VirtualMachine>> result);
  HostPath WritableDisk() const;
  std::string FindingsFile() const;  // empty: they are not kept

  EventLoop& loop_;
  spec::SandboxSpec sandbox_;
  const Purpose purpose_;
  Outcome done_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::unique_ptr<ChildTask> probe_;
  std::unique_ptr<ChildTask> disk_;
  HostFindings findings_;
  Status disk_made_;
  bool host_known_ = false;
  bool disk_ready_ = false;
  QemuMachine machine_;
  UniqueFd tap_;
  UniqueFd tap_netns_;  // ahead of the pod
  std::unique_ptr<TemplateQuestion> question_;
  std::unique_ptr<QemuStateTransfer> restoring_;
  std::unique_ptr<QemuVm> vm_;
};

}  // namespace catamaran

#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "vm-backend/host/qemu_vm.h"

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

// One launch under way: a pod's disk and the host's probe in two children, then QEMU.
class QemuLaunch : public std::enable_shared_from_this<QemuLaunch> {
 public:
  using Outcome = Completion<std::unique_ptr<VirtualMachine>>;
  QemuLaunch(EventLoop& loop, const spec::SandboxSpec& sandbox, Outcome done);
  // Keeps itself alive until it calls `done`.
  void Begin();

 private:
  void Prepared();
  Result<QemuStart> PlanStart();
  void Booted();
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
  UniqueFd tap_;
  std::unique_ptr<QemuVm> vm_;
};

}  // namespace catamaran

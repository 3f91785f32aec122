#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/base/trace.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "sandbox/protocol/backend_client.h"
#include "vm-backend/host/block_devices.h"
#include "vm-backend/host/clock_comparison.h"
#include "vm-backend/host/host_volumes.h"
#include "vm-backend/host/image_disks.h"
#include "vm-backend/host/vm_launcher.h"

namespace catamaran {

// The vm hull behind the seam: a machine from a VmLauncher, the agent in it, and the translation of
// the host's words (files, blobs) into the guest's (disks, volumes).
//
//   none ──────────────CreateSandbox──────────────▶ starting ──agent answers──▶ running ──▶ gone
//     └─PrepareSandbox─▶ preparing ─▶ prepared ─┘      └──────── any failure ──────────────▶ gone
//
// A machine that is prepared is a clone whose agent has answered, which holds its disk, and whose
// CPUs stand still; it is nobody's until CreateSandbox gives it its pod (vm_backend_prepare.cc).
// When the machine ends by itself every process that ran in it is reported as killed (137), then
// the sandbox as failed, with a reason.
class VmBackend final : public SandboxBackend {
 public:
  struct Launchers {
    std::unique_ptr<VmLauncher> qemu;
    std::unique_ptr<VmLauncher> process;  // tests only; may be null
  };
  // `volumes` may be empty: bind mounts of host files are then refused.
  VmBackend(EventLoop& loop, Launchers launchers, HostVolumesFactory volumes);
  ~VmBackend() override;

  void SetEventSink(EventSink sink) override;
  void PrepareSandbox(const pod::PrepareSandboxRequest& request,
                      Completion<pod::PrepareSandboxResponse> done) override;
  void CreateSandbox(const pod::CreateSandboxRequest& request,
                     Completion<pod::CreateSandboxResponse> done) override;
  void DestroySandbox(Done done) override;
  void CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                       Completion<pod::CreateContainerResponse> done) override;
  void StartContainer(const pod::StartContainerRequest& request,
                      Completion<pod::StartContainerResponse> done) override;
  void Signal(const pod::SignalRequest& request, Done done) override;
  void RemoveContainer(const pod::RemoveContainerRequest& request, Done done) override;
  void Exec(const pod::ExecRequest& request, Stdio stdio,
            Completion<pod::ExecResponse> done) override;
  void CloseStdin(const pod::CloseStdinRequest& request, Done done) override;
  void ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done) override;
  void UpdateResources(const pod::UpdateResourcesRequest& request, Done done) override;
  void Stats(const pod::StatsRequest& request, Completion<pod::StatsResponse> done) override;
  void List(Completion<pod::ListResponse> done) override;
  void DialPort(const pod::DialPortRequest& request, Completion<UniqueFd> done) override;
  void Pause(Done done) override;
  void Resume(Done done) override;

 private:
  enum class State { kNone, kPreparing, kPrepared, kStarting, kRunning, kGone };
  struct Container {
    spec::ContainerStatus status;
    std::vector<std::string> images;   // keys in disks_, one per use
    std::vector<std::string> devices;  // in devices_, likewise
  };

  Result<VmLauncher*> LauncherOf(const spec::SandboxSpec& sandbox);
  // How the launcher's outcome comes back, in this state only.
  Completion<std::unique_ptr<VirtualMachine>> WhenLaunched(State state);
  void StartBootTimer();
  void MachineLaunched(std::unique_ptr<VirtualMachine> machine);
  void PrepareGuest();
  void RestMachine();
  void ClaimMachine(const spec::SandboxSpec& sandbox);
  void BeginStep(std::string_view name);
  void AskAgent();
  void AgentAnswered(Result<pod::HelloResponse> hello);
  void SandboxMade(Result<pod::CreateSandboxResponse> made);
  spec::SandboxSpec GuestSandbox() const;
  void FailStart(Error error);
  void AgentGone(const std::string& reason);
  void MachineGone(const MachineEnd& end);
  void ReleaseMachine(Done done);

  void ShareMounts(const std::string& id, Done done);
  void AttachImages(const std::string& id, Done done);
  void AttachDevices(const std::string& id, Done done);
  void HandOver(const std::string& id, Stdio stdio, Completion<pod::CreateContainerResponse> done);
  void GiveBack(const std::string& id, Done done);

  void OnAgentEvent(const pod::Event& event);
  void Deliver(const pod::Event& event);
  Cgroup* PodGroup();       // on the host; null where it cannot be opened
  Status Unusable() const;  // why there is no agent to ask

  EventLoop& loop_;
  Launchers launchers_;
  HostVolumesFactory make_volumes_;
  State state_ = State::kNone;
  std::string gone_reason_;
  spec::SandboxSpec sandbox_;
  Completion<pod::PrepareSandboxResponse> prepare_done_;
  Completion<pod::CreateSandboxResponse> create_done_;
  Span create_span_;  // of CreateSandbox
  Span step_;         // what that is at
  EventLoop::Watch boot_timer_;
  EventLoop::Watch gone_timer_;
  std::unique_ptr<VirtualMachine> machine_;
  std::unique_ptr<BackendClient> agent_;
  ClockComparison clock_;
  std::unique_ptr<HostVolumes> volumes_;
  std::unique_ptr<ImageDisks> disks_;
  std::unique_ptr<BlockDevices> devices_;
  std::map<std::string, spec::ContainerSpec> creating_;  // being rewritten for the guest
  std::map<std::string, Container> containers_;
  std::set<std::pair<std::string, std::string>> execs_;  // container, exec: running
  EventSink sink_;
  std::vector<pod::Event> early_events_;
  std::optional<Cgroup> pod_group_;  // opened by the first reading of statistics
  std::map<uint64_t, std::unique_ptr<ChildTask>> resizes_;
  uint64_t next_resize_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace catamaran

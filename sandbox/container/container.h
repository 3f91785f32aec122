#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/base/result.h"
#include "sandbox/container/capabilities.h"
#include "sandbox/container/container_process.h"
#include "sandbox/container/hooks.h"
#include "sandbox/container/init.h"
#include "sandbox/container/plan.h"
#include "sandbox/container/rootfs.h"
#include "sandbox/container/sandbox_namespaces.h"
#include "sandbox/container/seccomp.h"
#include "sandbox/container/serial_queue.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

class Container;

// What the containers of one sandbox share. Outlives them.
struct SandboxContext {
  EventLoop* loop = nullptr;
  spec::SandboxSpec spec;
  SandboxNamespaces namespaces;
  std::shared_ptr<const CgroupTree> cgroups;
  RootfsMethod rootfs_method = RootfsMethod::kBest;
  UniqueFunction<void(pod::Event)> emit;
  // Null where there is none.
  UniqueFunction<Container*(const std::string& id)> find_container;

  std::string scratch_folder() const { return spec.state_directory() + "/mounts"; }
};

// One container: its cgroup, its first process and those exec'd in it. The verbs are those of
// SandboxBackend and are carried out in the order given. On the loop's thread only.
//
//           Create              Start             exit
//   (none) ───────▶ CREATED ───────────▶ RUNNING ──────▶ EXITED
//             │        │    cannot execute or killed        ▲
//             │ fails  └───────────────────────────────────┘
//             ▼
//           gone
class Container {
 public:
  Container(SandboxContext& sandbox, spec::ContainerSpec spec)
      : sandbox_(sandbox), spec_(std::move(spec)) {}
  ~Container();

  // When it fails everything it made is gone again, and so should be this object.
  void Create(Stdio stdio, Completion<pod::CreateContainerResponse> done);
  void Start(Completion<pod::StartContainerResponse> done);
  void SendSignal(const pod::SignalRequest& request, Done done);
  void Exec(const pod::ExecRequest& request, Stdio stdio, Completion<pod::ExecResponse> done);
  void CloseStdin(const spec::ProcessRef& process, Done done);
  void ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done);
  void UpdateResources(const spec::Resources& resources, Done done);
  // Kills everything in it, at once, also a Create that hangs; then removes group and writable
  // layer. `done` comes after the events of all its processes.
  void Remove(Done done);
  // Runs `then` once every verb that was called before has been answered.
  void AfterAll(UniqueFunction<void()> then);

  spec::ContainerStatus Describe() const;
  const Cgroup* cgroup() const { return cgroup_ ? &*cgroup_ : nullptr; }
  const std::string& writable_folder() const { return spec_.rootfs().writable_directory(); }
  // Of the first process; -1 once it has ended.
  int pidfd() const { return init_ ? init_->pidfd() : -1; }
  bool running() const { return state_ == spec::RUNNING; }

 private:
  using Created = Completion<pod::CreateContainerResponse>;

  Status Prepare();
  Status MakeCgroup();
  Status AllowDevices(const std::vector<DeviceRule>& more) const;
  Status LaunchInit(Stdio stdio);
  Status LaunchProcess(const ContainerProcess::Options& options, Launcher::Body body, Stdio stdio);
  Status LaunchMapped(InitInput input, ContainerProcess::Options options, Stdio stdio);
  Status LaunchBuilder(const InitInput& input, int cgroup_fd, const StageChannel& handover);
  void ReapBuilder();
  // The process whose pid namespace the container joins; nothing: its own, or the machine's.
  Result<std::optional<int>> PidNamespaceOwner() const;
  void OnPrepared(Result<spec::ResolvedUser> user);
  void OnStarted(Status status);
  void UndoCreate(Error error);
  void OnInitExit(ProcessEnd end);
  void OnExecExit(const std::string& exec_id, ProcessEnd end);
  Status CheckExec(const pod::ExecRequest& request) const;
  Status LaunchExec(const pod::ExecRequest& request, Stdio stdio,
                    const std::shared_ptr<Completion<pod::ExecResponse>>& done);
  spec::ProcessSpec ExecProcess(const pod::ExecRequest& request) const;
  spec::ExitStatus ExitOf(ProcessEnd end);
  void WatchOom();
  void ReportOomKills();
  ContainerProcess* Find(const spec::ProcessRef& process);
  Status SignalOne(const pod::SignalRequest& request);
  Status SignalAll(int signal);
  void RemoveKernelObjects(Done done);
  void OnRemoved(const std::string& hook_failures);
  void ReportStarted();

  // ---- Hooks (container_hooks.cc) ----
  void SetUpHooks();
  // The process is built and waits for the hooks that come before its root is entered.
  void OnBuilt();
  void RunPoststartHooks();
  // Runs the hooks of these points on the machine, in a child of this process.
  void RunHostHooks(std::vector<HookPoint> points, Done done);
  // Kills what runs of them; the verb that waits for them fails.
  void CancelHooks();
  // The verb under way fails with this, once the process is reaped.
  void FailAndKill(Error error);
  void FinishRemoveIfEnded();

  SandboxContext& sandbox_;
  spec::ContainerSpec spec_;
  ContainerPlan plan_;
  std::string cgroup_path_;
  std::optional<Cgroup> cgroup_;
  std::vector<DeviceRule> device_rules_;  // none for all_devices
  CapabilitySet capabilities_;
  CapabilitySet ambient_;
  std::shared_ptr<const SeccompProgram> seccomp_;
  spec::ContainerState state_ = spec::CREATED;
  Created creating_;                                  // while Create goes on
  Completion<pod::StartContainerResponse> starting_;  // while Start goes on
  std::optional<Error> failure_;                      // of either; told once the process is reaped
  bool killed_by_request_ = false;
  uint64_t oom_kills_ = 0;
  int64_t started_at_ns_ = 0;
  spec::ExitStatus exit_;
  spec::ResolvedUser user_;
  UniqueFd devpts_;
  std::unique_ptr<ContainerProcess> init_;
  ChildProcess builder_;  // with a user namespace, while it builds
  EventLoop::Watch builder_watch_;
  HookContainer hooks_;
  bool hooks_began_ = false;  // what they did has to be undone by those of poststop
  std::unique_ptr<ChildTask> hook_task_;
  Done hooks_done_;
  std::optional<ProcessEnd> end_during_hooks_;  // of the process, while those of poststart run
  std::map<std::string, std::unique_ptr<ContainerProcess>> execs_;
  UniqueFd oom_events_;
  EventLoop::Watch oom_watch_;
  EventLoop::Watch oom_settled_;
  std::unique_ptr<ChildTask> removal_;
  Done removed_;
  SerialQueue queue_;
};

}  // namespace catamaran

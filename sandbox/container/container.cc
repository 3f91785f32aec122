#include "sandbox/container/container.h"

#include <sched.h>
#include <signal.h>
#include <time.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/base/trace.h"
#include "sandbox/container/cgroup_entry.h"
#include "sandbox/container/scheduling.h"
#include "sandbox/kernel/security_modules.h"

namespace catamaran {
namespace {

constexpr int kStartErrorCode = 128;
constexpr std::chrono::seconds kRemovalPatience(20);

int64_t NowNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

CgroupView ViewOf(const CgroupTree& tree) {
  CgroupView view;
  view.unified = tree.kind() == CgroupTree::Kind::kUnified;
  if (view.unified) return view;
  // A v2 mount beside v1 is the machine's own affair (systemd's hybrid layout). runc shows none,
  // and programs that see one in a container take it for v2 alone: Kubernetes' conformance suite
  // looks for memory.max then.
  for (const auto& hierarchy : tree.hierarchies())
    if (!hierarchy.v2) view.mounts.push_back(hierarchy.mount);
  return view;
}

void Ignore(const Error&) {}

// Asked for and not to be had is an error at once, not when the program is to run.
Status CheckLabels(const spec::ContainerSpec& container) {
  const spec::ProcessSpec& process = container.process();
  const std::string& profile = process.apparmor_profile();
  if (!profile.empty() && profile != "unconfined" && !KernelHasAppArmor())
    return Fail(ErrorCode::kFailedPrecondition,
                "process.apparmor_profile \"{}\": this kernel has no AppArmor", profile);
  if (!process.selinux_label().empty() && !KernelHasSelinux())
    return Fail(ErrorCode::kFailedPrecondition,
                "process.selinux_label \"{}\": this kernel has no SELinux",
                process.selinux_label());
  if (!container.mount_label().empty() && !KernelHasSelinux())
    return Fail(ErrorCode::kFailedPrecondition, "mount_label \"{}\": this kernel has no SELinux",
                container.mount_label());
  return {};
}

}  // namespace

Container::~Container() { ReapBuilder(); }

// ---- Create ----

Status Container::Prepare() {
  cgroup_path_ = sandbox_.spec.cgroup_path() + "/" + spec_.container_id();
  ASSIGN_OR_RETURN(auto devices, FindDevices(spec_));
  device_rules_ = DeviceRulesOf(spec_, devices);
  ASSIGN_OR_RETURN(plan_, PlanContainer(PlanInput{sandbox_.spec, spec_, ViewOf(*sandbox_.cgroups),
                                                  cgroup_path_, std::move(devices)}));
  RETURN_IF_ERROR(CheckLabels(spec_));
  ASSIGN_OR_RETURN(const CapabilitySet available, OwnBoundingSet());
  ASSIGN_OR_RETURN(capabilities_, ResolveCapabilities(spec_.process().capabilities(), available));
  ASSIGN_OR_RETURN(ambient_,
                   ResolveAmbientCapabilities(spec_.process().capabilities(), capabilities_));
  ASSIGN_OR_RETURN(seccomp_, CompileSeccomp(spec_.process().seccomp(), capabilities_));
  SetUpHooks();
  return MakeCgroup();
}

Status Container::MakeCgroup() {
  const StepSpan step("cgroup");
  ASSIGN_OR_RETURN(cgroup_, sandbox_.cgroups->Create(cgroup_path_));
  RETURN_IF_ERROR(cgroup_->Apply(spec_.resources()));
  return AllowDevices(BuildersDeviceRules());
}

// A new group allows everything.
Status Container::AllowDevices(const std::vector<DeviceRule>& more) const {
  if (spec_.all_devices()) return {};
  std::vector<DeviceRule> rules = device_rules_;
  rules.insert(rules.end(), more.begin(), more.end());
  return cgroup_->AllowOnlyDevices(rules);
}

Result<std::optional<int>> Container::PidNamespaceOwner() const {
  if (plan_.namespaces.pod_pid) return sandbox_.namespaces.init.pidfd.get();
  const std::string& target = plan_.namespaces.pid_of_container;
  if (target.empty()) return std::nullopt;
  const Container* container = sandbox_.find_container(target);
  if (container == nullptr || !container->running())
    return Fail(ErrorCode::kFailedPrecondition, "pid_target \"{}\" is not a running container",
                target);
  return container->pidfd();
}

Status Container::LaunchInit(Stdio stdio) {
  InitInput input;
  input.plan = &plan_;
  input.sandbox = &sandbox_.namespaces;
  input.scratch_folder = sandbox_.scratch_folder();
  input.rootfs_method = sandbox_.rootfs_method;
  input.capabilities = capabilities_;
  input.ambient = ambient_;
  input.seccomp = seccomp_;
  input.stdio = {stdio.in.get(), stdio.out.get(), stdio.err.get()};
  if (hooks_.HasAny()) input.hooks = &hooks_;
  ContainerProcess::Options options;
  options.terminal = plan_.process.terminal();
  options.clone.namespaces = plan_.namespaces.new_pid ? CLONE_NEWPID : 0;
  const CgroupEntry entry = EntryInto(*sandbox_.cgroups, *cgroup_);
  options.clone.cgroup_fd = entry.clone_fd;
  input.cgroup = entry.join;
  if (plan_.user_namespace) return LaunchMapped(input, options, std::move(stdio));
  options.clone.namespaces |= CLONE_NEWNS;
  return LaunchProcess(
      options,
      [&input](const StageChannel& channel) {
        input.channel = &channel;
        return RunContainerInit(input);
      },
      std::move(stdio));
}

Status Container::LaunchProcess(const ContainerProcess::Options& options, Launcher::Body body,
                                Stdio stdio) {
  std::optional<ScopedNamespace> scope;
  ASSIGN_OR_RETURN(const auto owner, PidNamespaceOwner());
  if (owner) {
    ASSIGN_OR_RETURN(scope, ScopedNamespace::Enter(*owner, CLONE_NEWPID));
  }
  ASSIGN_OR_RETURN(init_,
                   ContainerProcess::Launch(
                       *sandbox_.loop, options, std::move(body), std::move(stdio),
                       [this](Result<spec::ResolvedUser> user) { OnPrepared(std::move(user)); },
                       [this](ProcessEnd end) { OnInitExit(end); }));
  hooks_began_ = hooks_.HasAny();
  init_->WhenBuilt([this] { OnBuilt(); });
  return {};
}

void Container::Create(Stdio stdio, Created done) {
  queue_.Add([this, stdio = std::move(stdio), done = std::move(done),
              span = Span::Current()](SerialQueue::Finished finished) mutable {
    const SpanScope scope(span);
    creating_ = [done = std::move(done), finished = std::move(finished)](
                    Result<pod::CreateContainerResponse> result) mutable {
      auto next = std::move(finished);
      done(std::move(result));
      next();
    };
    auto launched = Prepare();
    if (launched) {
      // Its root file system and all that a container is: the process builds it.
      creating_ = AsStep("process built", std::move(creating_));
      launched = LaunchInit(std::move(stdio));
    }
    if (!launched) UndoCreate(std::move(launched).error());
  });
}

void Container::OnPrepared(Result<spec::ResolvedUser> user) {
  if (!user) {
    // Told once it is reaped.
    if (!failure_) failure_ = std::move(user).error();
    return;
  }
  // It waits for its start: no program of the image's has run.
  if (auto limited = AllowDevices({}); !limited) return FailAndKill(std::move(limited).error());
  // In a user namespace it could not do that itself.
  if (auto applied = ApplyScheduling(plan_.process, init_->pid()); !applied)
    return FailAndKill(std::move(applied).error());
  user_ = *user;
  devpts_ = init_->TakeDevpts();
  WatchOom();
  pod::CreateContainerResponse response;
  *response.mutable_user() = user_;
  response.set_pid(init_->pid());
  auto done = std::move(creating_);
  done(std::move(response));
}

void Container::UndoCreate(Error error) {
  if (cgroup_) {
    if (auto kills = cgroup_->OomKills(); kills && *kills > 0)
      error.message += " (the kernel's OOM killer ended it: the memory limit is too small)";
  }
  state_ = spec::EXITED;
  if (!cgroup_) {
    auto done = std::move(creating_);
    done(tl::unexpected(std::move(error)));
    return;
  }
  RemoveKernelObjects([this, error = std::move(error)](const Status& removed) mutable {
    if (removed) cgroup_.reset();
    auto done = std::move(creating_);
    done(tl::unexpected(std::move(error)));
  });
}

// ---- Start ----

void Container::Start(Completion<pod::StartContainerResponse> done) {
  queue_.Add([this, done = std::move(done)](SerialQueue::Finished finished) mutable {
    if (state_ != spec::CREATED || !init_) {
      done(Fail(ErrorCode::kFailedPrecondition, "container {} is {}, not CREATED",
                spec_.container_id(), spec::ContainerState_Name(state_)));
      finished();
      return;
    }
    starting_ = [done = std::move(done), finished = std::move(finished)](
                    Result<pod::StartContainerResponse> result) mutable {
      auto next = std::move(finished);
      done(std::move(result));
      next();
    };
    init_->Start([this](Status status) { OnStarted(std::move(status)); });
  });
}

void Container::OnStarted(Status status) {
  if (!status) {
    if (!failure_) failure_ = std::move(status).error();
    return;
  }
  state_ = spec::RUNNING;
  started_at_ns_ = NowNanoseconds();
  if (hooks_.hooks.poststart_size() > 0) return RunPoststartHooks();
  ReportStarted();
}

void Container::ReportStarted() {
  pod::StartContainerResponse response;
  response.set_started_at_ns(started_at_ns_);
  auto done = std::move(starting_);
  done(std::move(response));
}

// ---- Ends ----

spec::ExitStatus Container::ExitOf(ProcessEnd end) {
  spec::ExitStatus exit;
  exit.set_exit_code(end.exit_code);
  exit.set_signal(end.signal);
  exit.set_exited_at_ns(NowNanoseconds());
  // A SIGKILL that nobody asked for, in a group in which the OOM killer was at work.
  if (end.signal == SIGKILL && !killed_by_request_ && cgroup_) {
    auto kills = cgroup_->OomKills();
    exit.set_oom_killed(kills && *kills > 0);
  }
  return exit;
}

void Container::OnInitExit(ProcessEnd end) {
  if (hook_task_ && state_ == spec::RUNNING) {
    // Told after the start is.
    end_during_hooks_ = end;
    return;
  }
  hook_task_.reset();
  hooks_done_ = {};
  exit_ = ExitOf(end);
  ReapBuilder();
  // In its own pid namespace the kernel has killed the others with it.
  if (!plan_.namespaces.new_pid) SignalAll(SIGKILL).map_error(Ignore);
  auto ended = std::move(init_);
  devpts_.Reset();
  state_ = spec::EXITED;
  if (creating_) {
    UndoCreate(failure_
                   ? std::move(*failure_)
                   : Error{ErrorCode::kInternal, 0, "the process ended before it was prepared"});
    return;
  }
  ReportOomKills();
  if (starting_) {
    Error error = failure_ ? std::move(*failure_)
                           : Error{ErrorCode::kAborted, 0, "the process ended before it ran"};
    exit_.set_exit_code(kStartErrorCode);
    exit_.set_signal(0);
    exit_.set_message(error.message);
    auto done = std::move(starting_);
    done(tl::unexpected(std::move(error)));
  } else {
    pod::Event event;
    event.mutable_exited()->mutable_process()->set_container_id(spec_.container_id());
    *event.mutable_exited()->mutable_exit() = exit_;
    sandbox_.emit(std::move(event));
  }
  FinishRemoveIfEnded();
}

// ---- Remove ----

void Container::RemoveKernelObjects(Done done) {
  oom_watch_.Cancel();
  oom_settled_.Cancel();
  oom_events_.Reset();
  auto tree = sandbox_.cgroups;
  auto work = [tree, path = cgroup_path_, folder = writable_folder(), hooks = hooks_,
               began = hooks_began_]() -> Result<std::string> {
    const Deadline deadline = Deadline::After(kRemovalPatience);
    auto group = tree->OpenGroup(path);
    if (group) {
      RETURN_IF_ERROR(group->KillAll(deadline));
      RETURN_IF_ERROR(group->Remove(deadline));
    } else if (group.error().code != ErrorCode::kNotFound) {
      return tl::unexpected(std::move(group).error());
    }
    if (!folder.empty()) RETURN_IF_ERROR(RemoveTree(folder));
    if (!began) return std::string();
    auto failures = RunAllHooks(hooks, HookPoint::kPoststop, 0);
    RETURN_IF_ERROR(RemoveTree(hooks.bundle));
    return failures;
  };
  removal_ = ChildTask::Start(*sandbox_.loop, std::move(work),
                              [this, done = std::move(done)](Result<std::string> outcome) mutable {
                                AbortStep();
                                if (outcome) OnRemoved(*outcome);
                                done(std::move(outcome).map([](const std::string&) {}));
                              });
}

void Container::OnRemoved(const std::string& hook_failures) {
  hooks_began_ = false;
  if (hook_failures.empty()) return;
  pod::Event event;
  event.mutable_warning()->set_container_id(spec_.container_id());
  event.mutable_warning()->set_text(hook_failures);
  sandbox_.emit(std::move(event));
}

void Container::Remove(Done done) {
  // Ahead of the queue: what hangs in it must not outlive this.
  killed_by_request_ = true;
  CancelHooks();
  if (init_) init_->Signal(SIGKILL).map_error(Ignore);
  SignalAll(SIGKILL).map_error(Ignore);
  queue_.Add([this, done = std::move(done)](SerialQueue::Finished finished) mutable {
    auto complete = [done = std::move(done),
                     finished = std::move(finished)](Status status) mutable {
      auto next = std::move(finished);
      done(std::move(status));
      next();
    };
    // Its Create failed and has undone everything.
    if (!cgroup_) {
      removed_ = std::move(complete);
      FinishRemoveIfEnded();
      return;
    }
    RemoveKernelObjects([this, complete = std::move(complete)](Status status) mutable {
      if (!status) {
        complete(std::move(status));
        return;
      }
      cgroup_.reset();
      removed_ = std::move(complete);
      FinishRemoveIfEnded();
    });
  });
}

void Container::AfterAll(UniqueFunction<void()> then) {
  queue_.Add([then = std::move(then)](SerialQueue::Finished) mutable { then(); });
}

void Container::FinishRemoveIfEnded() {
  if (!removed_ || init_ || !execs_.empty()) return;
  auto done = std::move(removed_);
  done({});
}

spec::ContainerStatus Container::Describe() const {
  spec::ContainerStatus status;
  status.set_container_id(spec_.container_id());
  status.set_state(state_);
  if (init_) status.set_pid(init_->pid());
  status.set_started_at_ns(started_at_ns_);
  if (state_ == spec::EXITED) *status.mutable_exit() = exit_;
  *status.mutable_user() = user_;
  return status;
}

}  // namespace catamaran

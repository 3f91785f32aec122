#include "vm-backend/host/vm_backend.h"

#include <sys/random.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "sandbox/protocol/stream_channel.h"
#include "vm-backend/host/agent_channel_limits.h"
#include "vm-backend/host/vm_refusals.h"

namespace catamaran {
namespace {

// Between the end of the agent's channel and that of its machine.
constexpr auto kEndPatience = std::chrono::seconds(10);

std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  // The pool is filled long before a shim runs, and this few bytes are never cut short
  // (getrandom(2)).
  [[maybe_unused]] const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
  return bytes;
}

std::string Hex(const std::string& bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

pod::Event KilledEvent(const std::string& container, const std::string& exec,
                       const std::string& reason, bool oom = false) {
  pod::Event event;
  auto& exited = *event.mutable_exited();
  exited.mutable_process()->set_container_id(container);
  exited.mutable_process()->set_exec_id(exec);
  exited.mutable_exit()->set_exit_code(128 + 9);
  exited.mutable_exit()->set_signal(9);
  exited.mutable_exit()->set_oom_killed(oom);
  exited.mutable_exit()->set_exited_at_ns(NowNs());
  exited.mutable_exit()->set_message(reason);
  return event;
}

// Whether the OOM killer was at work in this process's group, where the VMM is as well.
bool OomKilledHere() {
  const auto kills = []() -> Result<uint64_t> {
    ASSIGN_OR_RETURN(const auto tree, CgroupTree::Open());
    ASSIGN_OR_RETURN(const std::string path, tree->PathOf(getpid()));
    ASSIGN_OR_RETURN(const Cgroup group, tree->OpenGroup(path));
    return group.OomKills();
  }();
  return kills && *kills > 0;
}

}  // namespace

VmBackend::VmBackend(EventLoop& loop, Launchers launchers, HostVolumesFactory volumes)
    : loop_(loop), launchers_(std::move(launchers)), make_volumes_(std::move(volumes)) {}

VmBackend::~VmBackend() { *alive_ = false; }

Result<VmLauncher*> VmBackend::LauncherOf(const spec::SandboxSpec& sandbox) {
  const bool process = sandbox.machine().launcher() == spec::MachineSpec::PROCESS;
  VmLauncher* launcher = process ? launchers_.process.get() : launchers_.qemu.get();
  if (launcher == nullptr)
    return Fail(ErrorCode::kInvalidArgument, "machine.launcher: PROCESS is for tests");
  return launcher;
}

Completion<std::unique_ptr<VirtualMachine>> VmBackend::WhenLaunched(State state) {
  return [this, alive = alive_, state](Result<std::unique_ptr<VirtualMachine>> machine) {
    if (!*alive || state_ != state) return;  // destroyed meanwhile: so is the machine
    if (!machine) return FailStart(std::move(machine).error());
    MachineLaunched(std::move(*machine));
  };
}

void VmBackend::StartBootTimer() {
  auto timer = loop_.RunAfter(kBootPatience, [this] {
    FailStart({ErrorCode::kDeadlineExceeded, 0, "the machine's agent did not answer in time"});
  });
  if (timer) boot_timer_ = std::move(*timer);
}

void VmBackend::CreateSandbox(const pod::CreateSandboxRequest& request,
                              Completion<pod::CreateSandboxResponse> done) {
  if (state_ == State::kGone) return done(tl::unexpected<Error>(Unusable().error()));
  if (state_ != State::kNone && state_ != State::kPrepared)
    return done(Fail(ErrorCode::kAlreadyExists, "the sandbox exists"));
  if (auto refused = RefuseSandbox(request.sandbox()); !refused)
    return done(tl::unexpected<Error>(std::move(refused).error()));
  auto launcher = LauncherOf(request.sandbox());
  if (!launcher) return done(tl::unexpected<Error>(std::move(launcher).error()));
  create_done_ = std::move(done);
  create_span_ = Span::Current();
  const bool prepared = state_ == State::kPrepared;
  state_ = State::kStarting;
  StartBootTimer();
  step_ = create_span_.Child(prepared ? "machine claimed" : "machine");
  if (prepared) return ClaimMachine(request.sandbox());
  sandbox_ = request.sandbox();
  (*launcher)->Launch(sandbox_, WhenLaunched(State::kStarting));
}

void VmBackend::MachineLaunched(std::unique_ptr<VirtualMachine> machine) {
  machine_ = std::move(machine);
  for (const auto& [key, value] : machine_->details()) step_.Note(key, value);
  BeginStep("agent answers");
  machine_->OnExit([this](const MachineEnd& end) { MachineGone(end); });
  disks_ = std::make_unique<ImageDisks>(*machine_);
  devices_ = std::make_unique<BlockDevices>(loop_, *machine_);
  if (!machine_->shares_host_files() && make_volumes_) {
    sandbox_.mutable_guest()->set_volume_secret(RandomBytes(32));
    auto volumes = make_volumes_(sandbox_, machine_->TakeVolumeChannel());
    if (!volumes) return FailStart(std::move(volumes).error().While("volume server"));
    volumes_ = std::move(*volumes);
  }
  StreamChannelOptions options;
  options.role = StreamChannelOptions::Role::kClient;
  options.limits = kAgentChannelLimits;
  auto channel = MakeStreamChannel(loop_, machine_->TakeAgentChannel(), options);
  if (!channel) return FailStart(std::move(channel).error());
  agent_ = std::make_unique<BackendClient>(loop_, std::move(*channel));
  agent_->SetEventSink([this](const pod::Event& event) { OnAgentEvent(event); });
  auto started = agent_->Start(
      [this](const Error& error) { AgentGone("the agent is gone: " + error.message); });
  if (!started) return FailStart(std::move(started).error());
  AskAgent();
}

void VmBackend::BeginStep(std::string_view name) {
  step_.End();
  step_ = create_span_.Child(name);
}

void VmBackend::AskAgent() {
  clock_.Ask();
  agent_->Hello([this](Result<pod::HelloResponse> hello) { AgentAnswered(std::move(hello)); });
}

spec::SandboxSpec VmBackend::GuestSandbox() const {
  spec::SandboxSpec guest = sandbox_;
  if (machine_->shares_host_files()) return guest;
  spec::GuestSetup& setup = *guest.mutable_guest();
  setup.set_random_seed(RandomBytes(64));
  setup.set_machine_id(Hex(RandomBytes(16)));
  setup.set_writable_disk_serial(machine_->writable_disk_serial());
  setup.set_volumes(volumes_ != nullptr);
  setup.set_volume_secret(sandbox_.guest().volume_secret());
  setup.set_clock_step_ns(clock_.step_ns());
  return guest;
}

void VmBackend::AgentAnswered(Result<pod::HelloResponse> hello) {
  if (state_ != State::kStarting && state_ != State::kPreparing) return;
  if (!hello) {
    // Its machine's end, which follows, says why.
    if (hello.error().code == ErrorCode::kUnavailable)
      return AgentGone("the agent is gone: " + hello.error().message);
    return FailStart(std::move(hello).error().While("the machine's agent"));
  }
  if (state_ == State::kPreparing) return PrepareGuest();
  clock_.Answer(hello->clock_ns());
  if (!clock_.done() && !machine_->shares_host_files()) return AskAgent();
  step_.End();
  const SpanScope scope(create_span_);
  pod::CreateSandboxRequest request;
  *request.mutable_sandbox() = GuestSandbox();
  agent_->CreateSandbox(
      request, [this](Result<pod::CreateSandboxResponse> made) { SandboxMade(std::move(made)); });
}

void VmBackend::SandboxMade(Result<pod::CreateSandboxResponse> made) {
  if (state_ != State::kStarting) return;
  if (!made && made.error().code == ErrorCode::kUnavailable)
    return AgentGone("the agent is gone: " + made.error().message);
  if (!made) return FailStart(std::move(made).error());
  boot_timer_.Cancel();
  state_ = State::kRunning;
  for (const auto& [key, value] : machine_->details()) (*made->mutable_details())[key] = value;
  auto done = std::move(create_done_);
  done(std::move(made));
}

// Whatever failed, the machine goes: the sandbox was never made.
void VmBackend::FailStart(Error error) {
  if (state_ != State::kStarting && state_ != State::kPreparing) return;
  state_ = State::kGone;
  gone_reason_ = error.message;
  step_.End(/*failed=*/true);
  boot_timer_.Cancel();
  ReleaseMachine([created = std::move(create_done_), prepared = std::move(prepare_done_),
                  error = std::move(error)](const Status&) mutable {
    if (created) return created(tl::unexpected<Error>(std::move(error)));
    prepared(tl::unexpected<Error>(std::move(error)));
  });
}

// The channel closes a moment before the machine's own end is seen, which says more.
void VmBackend::AgentGone(const std::string& reason) {
  if (state_ == State::kGone) return;
  auto timer = loop_.RunAfter(kEndPatience, [this, reason] { MachineGone({reason}); });
  if (!timer) return MachineGone({reason});
  gone_timer_ = std::move(*timer);
}

void VmBackend::MachineGone(const MachineEnd& end) {
  const bool oom = end.signal == SIGKILL && OomKilledHere();
  const std::string reason =
      oom ? end.reason +
                ": the host's OOM killer ended it, the pod's memory limit with its "
                "overhead is too small for the machine"
          : end.reason;
  if (state_ == State::kStarting || state_ == State::kPreparing) {
    // The commonest cause is a kernel and an initramfs that do not fit.
    return FailStart(Error{ErrorCode::kUnavailable, 0, reason}.While(
        fmt::format("machine of kernel \"{}\" and initramfs \"{}\"", sandbox_.machine().kernel(),
                    sandbox_.machine().initramfs())));
  }
  if (state_ != State::kRunning && state_ != State::kPrepared) return;
  state_ = State::kGone;
  gone_reason_ = reason;
  std::vector<pod::Event> events;
  for (const auto& [container, exec] : execs_)
    events.push_back(KilledEvent(container, exec, reason, oom));
  for (const auto& [id, container] : containers_)
    if (container.status.state() == spec::RUNNING)
      events.push_back(KilledEvent(id, "", reason, oom));
  pod::Event failed;
  failed.mutable_failed()->set_reason(reason);
  events.push_back(failed);
  for (const pod::Event& event : events) OnAgentEvent(event);
  ReleaseMachine([](const Status&) {});
}

void VmBackend::ReleaseMachine(Done done) {
  // From the loop: the caller may be a callback of what goes.
  loop_.Post([this, alive = alive_, done = std::move(done)]() mutable {
    if (!*alive) return;
    if (machine_ == nullptr) return done({});
    machine_->Kill([this, alive, done = std::move(done)](Status killed) mutable {
      if (!*alive) return done(std::move(killed));
      loop_.Post([this, alive, killed, done = std::move(done)]() mutable {
        if (*alive) {
          agent_.reset();
          volumes_.reset();
          disks_.reset();
          devices_.reset();
          machine_.reset();
        }
        done(std::move(killed));
      });
    });
  });
}

void VmBackend::DestroySandbox(Done done) {
  if (state_ == State::kStarting || state_ == State::kPreparing)
    FailStart({ErrorCode::kAborted, 0, "the sandbox was destroyed while it started"});
  if (state_ == State::kRunning || state_ == State::kPrepared) {
    state_ = State::kGone;
    gone_reason_ = "the sandbox was destroyed";
    for (const auto& [id, container] : containers_)
      if (container.status.state() == spec::RUNNING)
        OnAgentEvent(KilledEvent(id, "", gone_reason_));
    if (machine_->shares_host_files()) {
      // The engine's groups and mounts are the host's own.
      return agent_->DestroySandbox([this, done = std::move(done)](const Status&) mutable {
        ReleaseMachine(std::move(done));
      });
    }
  }
  ReleaseMachine(std::move(done));
}

Status VmBackend::Unusable() const {
  if (state_ == State::kRunning) return {};
  if (state_ == State::kGone)
    return Fail(ErrorCode::kUnavailable, "the virtual machine is gone: {}", gone_reason_);
  return Fail(ErrorCode::kFailedPrecondition, "there is no sandbox");
}

void VmBackend::SetEventSink(EventSink sink) {
  sink_ = std::move(sink);
  auto early = std::move(early_events_);
  early_events_.clear();
  for (const pod::Event& event : early) sink_(event);
}

void VmBackend::Deliver(const pod::Event& event) {
  if (sink_)
    sink_(event);
  else
    early_events_.push_back(event);
}

// A guest is believed only about what it was asked to run.
void VmBackend::OnAgentEvent(const pod::Event& event) {
  if (event.has_exited()) {
    const spec::ProcessRef& process = event.exited().process();
    const auto container = containers_.find(process.container_id());
    if (container == containers_.end()) return;
    if (!process.exec_id().empty()) {
      if (execs_.erase({process.container_id(), process.exec_id()}) == 0) return;
    } else {
      if (container->second.status.state() == spec::EXITED) return;
      container->second.status.set_state(spec::EXITED);
      container->second.status.set_pid(0);
      *container->second.status.mutable_exit() = event.exited().exit();
    }
  }
  if (event.has_oom() && !containers_.contains(event.oom().container_id())) return;
  Deliver(event);
}

Cgroup* VmBackend::PodGroup() {
  if (!pod_group_) {
    auto tree = CgroupTree::Open();
    auto group = tree ? (*tree)->OpenGroup(sandbox_.cgroup_path())
                      : Result<Cgroup>(tl::unexpected<Error>(tree.error()));
    if (group) pod_group_ = std::move(*group);
  }
  return pod_group_ ? &*pod_group_ : nullptr;
}

void VmBackend::Stats(const pod::StatsRequest& request, Completion<pod::StatsResponse> done) {
  if (auto usable = Unusable(); !usable) return done(tl::unexpected<Error>(usable.error()));
  const auto extent = request.extent();
  agent_->Stats(request, [this, alive = alive_, extent,
                          done = std::move(done)](Result<pod::StatsResponse> stats) mutable {
    if (!stats || !*alive || extent == pod::StatsRequest::CONTAINERS) return done(std::move(stats));
    // What the pod costs the node: the VMM and all its helpers, not what the guest sees.
    if (Cgroup* group = PodGroup())
      if (auto usage = group->Stats()) *stats->mutable_stats()->mutable_pod() = std::move(*usage);
    done(std::move(stats));
  });
}

void VmBackend::List(Completion<pod::ListResponse> done) {
  if (state_ == State::kRunning) return agent_->List(std::move(done));
  pod::ListResponse response;
  response.set_sandbox_ready(false);
  response.set_sandbox_reason(state_ == State::kGone ? gone_reason_ : "there is no sandbox");
  for (const auto& [id, container] : containers_) *response.add_containers() = container.status;
  done(std::move(response));
}

void VmBackend::DialPort(const pod::DialPortRequest& request, Completion<UniqueFd> done) {
  if (auto usable = Unusable(); !usable) return done(tl::unexpected<Error>(usable.error()));
  agent_->DialPort(request, std::move(done));
}

void VmBackend::Pause(Done done) {
  if (auto usable = Unusable(); !usable) return done(std::move(usable));
  agent_->Pause(std::move(done));
}

void VmBackend::Resume(Done done) {
  if (auto usable = Unusable(); !usable) return done(std::move(usable));
  agent_->Resume(std::move(done));
}

}  // namespace catamaran

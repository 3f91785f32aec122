#include "vm-backend/host/qemu_launch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "vm-backend/host/guest_files.h"
#include "vm-backend/host/pod_tap.h"
#include "vm-backend/host/qemu_launcher.h"
#include "vm-backend/host/sparse_clone.h"

namespace catamaran {
namespace {

constexpr char kWritableSerial[] = "writable";
// Longer than loading a template from a disk takes; a boot takes longer still.
constexpr auto kTemplatePatience = std::chrono::seconds(10);

Status CheckReadable(const std::string& field, const std::string& path) {
  if (path.empty())
    return Fail(ErrorCode::kInvalidArgument, "machine.{}: empty; a path is due", field);
  if (access(path.c_str(), R_OK) != 0)
    return FailErrno(errno, fmt::format("machine.{}: \"{}\"", field, path));
  return {};
}

// QEMU opens it as a user who owns nothing.
Status CheckBootFile(const std::string& field, const std::string& path,
                     Result<std::string> (*look)(const std::string&)) {
  RETURN_IF_ERROR(CheckReadable(field, path));
  struct stat status;
  if (stat(path.c_str(), &status) != 0)
    return FailErrno(errno, fmt::format("machine.{}: \"{}\"", field, path));
  if (!S_ISREG(status.st_mode))
    return Fail(ErrorCode::kInvalidArgument, "machine.{}: \"{}\" is not a file", field, path);
  if ((status.st_mode & S_IROTH) == 0)
    return Fail(ErrorCode::kFailedPrecondition,
                "machine.{}: \"{}\" cannot be read by the unprivileged user QEMU runs as; "
                "chmod o+r it",
                field, path);
  if (auto seen = look(path); !seen)
    return tl::unexpected<Error>(std::move(seen).error().While("machine." + field));
  return {};
}

Status PrepareFiles(const spec::SandboxSpec& sandbox, const HostPath& writable) {
  const spec::MachineSpec& machine = sandbox.machine();
  RETURN_IF_ERROR(CheckBootFile("kernel", machine.kernel(), LookAtKernel));
  RETURN_IF_ERROR(CheckBootFile("initramfs", machine.initramfs(), LookAtInitramfs));
  RETURN_IF_ERROR(MakeDirectories(sandbox.state_directory(), 0700));
  if (machine.writable_disk().empty()) return {};
  RETURN_IF_ERROR(CheckReadable("writable_disk", machine.writable_disk()));
  RETURN_IF_ERROR(MakeDirectories(sandbox.data_directory(), 0700));
  return CloneSparse(HostPath(machine.writable_disk()), writable);
}

std::string Milliseconds(std::chrono::steady_clock::time_point since) {
  const auto elapsed = std::chrono::steady_clock::now() - since;
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count());
}

}  // namespace

Result<std::string> QemuProgram(const spec::MachineSpec& machine) {
  std::string program = machine.qemu().empty() ? kDefaultQemu : machine.qemu();
  if (access(program.c_str(), X_OK) != 0)
    return FailErrno(errno, fmt::format("machine.qemu: \"{}\"", program));
  return program;
}

Result<QemuMachine> ResolveMachine(const spec::SandboxSpec& sandbox, const HostFindings& findings) {
  const spec::MachineSpec& spec = sandbox.machine();
  QemuMachine machine;
  ASSIGN_OR_RETURN(machine.accelerator, ChooseAccelerator(findings.kvm, spec.allow_emulation()));
  ASSIGN_OR_RETURN(machine.qemu, QemuProgram(spec));
  if (sandbox.resources().memory_limit_bytes() < 0)
    return Fail(ErrorCode::kInvalidArgument, "resources.memory_limit_bytes: {}; 0 or more is due",
                sandbox.resources().memory_limit_bytes());
  machine.memory_bytes =
      GuestMemoryBytes(static_cast<uint64_t>(sandbox.resources().memory_limit_bytes()),
                       spec.default_memory_bytes(), spec.overhead_memory_bytes());
  machine.cpus = GuestCpus(sandbox);
  machine.kernel = HostPath(spec.kernel());
  machine.initramfs = HostPath(spec.initramfs());
  machine.command_line =
      GuestCommandLine(machine.accelerator, findings.tsc_khz, spec.command_line());
  return machine;
}

QemuLaunch::QemuLaunch(EventLoop& loop, const spec::SandboxSpec& sandbox, Purpose purpose,
                       Outcome done)
    : loop_(loop), sandbox_(sandbox), purpose_(purpose), done_(std::move(done)) {}

HostPath QemuLaunch::WritableDisk() const {
  return HostPath(sandbox_.data_directory()) / "writable.img";
}

// Beside the template keeper's socket: in the run directory, which ends with the boot.
std::string QemuLaunch::FindingsFile() const {
  const std::string& socket = sandbox_.machine().template_socket();
  if (socket.empty()) return "";
  return std::filesystem::path(socket).parent_path() / "host-findings";
}

void QemuLaunch::FindOut() {
  const HostIdentity identity = HostIdentity::Now();
  const std::string file = FindingsFile();
  if (!file.empty()) {
    auto kept = ReadFile(file, 64 << 10).and_then([&](const std::string& text) {
      return DecodeFindings(text, identity, HostUptime());
    });
    if (kept) {
      findings_ = std::move(*kept);
      host_known_ = true;
      return;
    }
  }
  probe_ = ChildTask::Start(
      loop_,
      [identity, file]() -> Result<std::string> {
        const std::string text = EncodeFindings(ExamineHost(), identity, HostUptime());
        // Where it cannot be kept the next launch looks again.
        if (!file.empty()) (void)ReplaceFile(file, text, 0600, Durability::kProcessCrash);
        return text;
      },
      [self = shared_from_this(), identity](Result<std::string> text) {
        auto found = text.and_then([&](const std::string& encoded) {
          return DecodeFindings(encoded, identity, HostUptime());
        });
        // A probe that dies is a KVM that does not work.
        self->findings_ =
            found ? std::move(*found) : HostFindings{tl::unexpected<Error>(found.error()), 0};
        self->host_known_ = true;
        self->Prepared();
      });
}

void QemuLaunch::Begin() {
  FindOut();
  disk_ = ChildTask::Start(
      loop_,
      [sandbox = sandbox_, target = WritableDisk()] { return PrepareFiles(sandbox, target); },
      [self = shared_from_this()](Status made) {
        self->disk_made_ = std::move(made);
        self->disk_ready_ = true;
        self->Prepared();
      });
}

void QemuLaunch::Prepared() {
  if (!host_known_ || !disk_ready_) return;
  if (!disk_made_) return Finish(tl::unexpected<Error>(disk_made_.error()));
  auto machine = ResolveMachine(sandbox_, findings_);
  if (!machine) return Finish(tl::unexpected<Error>(std::move(machine).error()));
  machine_ = std::move(*machine);
  if (auto made = MakeTap(); !made) return Finish(tl::unexpected<Error>(std::move(made).error()));
  AskForTemplate();
}

Status QemuLaunch::MakeTap() {
  if (purpose_ == Purpose::kPod) {
    ASSIGN_OR_RETURN(tap_, MakePodTap(sandbox_));
    return {};
  }
  ASSIGN_OR_RETURN(WaitingTap waiting, MakeWaitingTap());
  tap_ = std::move(waiting.tap);
  tap_netns_ = std::move(waiting.netns);
  return {};
}

void QemuLaunch::AskForTemplate() {
  const spec::MachineSpec& spec = sandbox_.machine();
  if (!spec.use_template()) return Boot("switched off");
  if (spec.template_socket().empty()) return Boot("no template keeper");
  question_ =
      TemplateQuestion::Ask(loop_, spec.template_socket(), TemplateRequestFor(machine_),
                            kTemplatePatience, [self = shared_from_this()](Result<Template> found) {
                              if (found) return self->Clone(*found);
                              self->Boot(found.error().message);
                            });
}

QemuStart QemuLaunch::PlanStart() const {
  QemuStart start;
  start.machine = machine_;
  start.tap = tap_.get();
  start.machine.network = tap_.valid();
  // The guest gives it to its card where a template had another.
  if (!sandbox_.interfaces().empty()) start.machine.mac = sandbox_.interfaces(0).mac();
  return start;
}

Status QemuLaunch::Run(const QemuStart& start) {
  ASSIGN_OR_RETURN(vm_, QemuVm::Start(loop_, start));
  vm_->SetDetail("prepared_ms", Milliseconds(began_));
  return {};
}

// Whatever goes wrong with a clone, the pod gets a machine that boots.
void QemuLaunch::Clone(const Template& found) {
  auto self = shared_from_this();
  // A position of its own in the file: all clones read the same one.
  auto state = OpenFile(fmt::format("/proc/self/fd/{}", found.state.get()), O_RDONLY);
  if (!state) return Boot(state.error().message);
  QemuStart start = PlanStart();
  start.machine.boot = QemuMachine::Boot::kIncoming;
  start.machine.memory = QemuMachine::Memory::kTemplateClone;
  start.memory = found.memory.get();
  if (auto running = Run(start); !running) return Boot(running.error().message);
  const auto fall_back = [self](const std::string& why) {
    // From the loop: the caller is a callback of what goes.
    self->loop_.Post([self, why] {
      if (self->restoring_ == nullptr) return;
      self->restoring_.reset();
      self->vm_.reset();
      self->Boot("the clone failed: " + why);
    });
  };
  vm_->OnExit([fall_back](const MachineEnd& end) { fall_back(end.reason); });
  restoring_ =
      QemuStateTransfer::Begin(loop_, *vm_, "migrate-incoming", state->get(), [=](Status restored) {
        if (!restored) return fall_back(restored.error().message);
        self->loop_.Post([self] { self->restoring_.reset(); });
        self->vm_->OnExit({});
        self->vm_->SetDetail("start", "restored");
        self->vm_->SetDetail("restored_ms", Milliseconds(self->began_));
        self->AttachWritableDisk();
      });
}

void QemuLaunch::Boot(const std::string& why) {
  if (purpose_ == Purpose::kAhead)
    return Finish(Fail(ErrorCode::kUnavailable, "no clone of a template: {}", why));
  const QemuStart start = PlanStart();
  if (auto running = Run(start); !running)
    return Finish(tl::unexpected<Error>(std::move(running).error()));
  vm_->SetDetail("start", "booted");
  vm_->SetDetail("template", why);
  AttachWritableDisk();
}

// The pod's machine is made up anew when the pod is known, so that one made from files that have
// been replaced since, or of another size, is refused.
void QemuLaunch::AwaitClaim() {
  const spec::MachineSpec& spec = sandbox_.machine();
  pod::PrepareSandboxResponse suits;
  const auto [above, at_most] =
      PodLimitsOfGuest(machine_.memory_bytes, spec.overhead_memory_bytes());
  suits.mutable_memory_limit_bytes()->set_above(above);
  suits.mutable_memory_limit_bytes()->set_at_most(at_most);
  suits.mutable_cpu_limit_millis()->set_above(uint64_t{1000} * (machine_.cpus - 1));
  if (machine_.cpus < MostGuestCpus())
    suits.mutable_cpu_limit_millis()->set_at_most(uint64_t{1000} * machine_.cpus);
  const std::string key = TemplateKey(TemplateRequestFor(machine_));
  auto netns = std::make_shared<UniqueFd>(std::move(tap_netns_));
  vm_->AwaitClaim(suits,
                  [netns, key, findings = findings_](const spec::SandboxSpec& sandbox) -> Status {
                    ASSIGN_OR_RETURN(const QemuMachine due, ResolveMachine(sandbox, findings));
                    if (TemplateKey(TemplateRequestFor(due)) != key)
                      return Fail(ErrorCode::kFailedPrecondition, "another machine is due by now");
                    return GiveTapToPod(*netns, sandbox);
                  });
}

void QemuLaunch::AttachWritableDisk() {
  auto self = shared_from_this();
  tap_.Reset();  // QEMU has it
  if (purpose_ == Purpose::kAhead) AwaitClaim();
  if (sandbox_.machine().writable_disk().empty()) return Finish(std::move(vm_));
  auto disk = OpenFile(WritableDisk().string(), O_RDWR);
  if (!disk) return Finish(tl::unexpected<Error>(std::move(disk).error()));
  // It needs no name any more, and so ends with the machine, however that ends.
  unlink(WritableDisk().c_str());
  AbortStep();
  vm_->AttachWritable(std::move(*disk), kWritableSerial, [self](Status attached) {
    self->vm_->SetDetail("vmm_answered_ms", Milliseconds(self->began_));
    if (attached) return self->Finish(std::move(self->vm_));
    Error error = std::move(attached).error();
    if (const std::string tail = self->vm_->ConsoleTail(); !tail.empty())
      error.message += "; QEMU said: " + tail;
    // Not from within its own monitor's callback.
    self->loop_.Post([self, error = std::move(error)]() mutable {
      self->vm_.reset();
      self->Finish(tl::unexpected<Error>(std::move(error)));
    });
  });
}

void QemuLaunch::Finish(Result<std::unique_ptr<VirtualMachine>> result) {
  // The tasks hold references to this: they end on the next round, after their reports.
  loop_.Post([self = shared_from_this()] {
    self->probe_.reset();
    self->disk_.reset();
    self->question_.reset();
  });
  if (!result) unlink(WritableDisk().c_str());
  if (auto done = std::move(done_)) done(std::move(result));
}

namespace {

class QemuLauncher final : public VmLauncher {
 public:
  explicit QemuLauncher(EventLoop& loop) : loop_(loop) {}
  void Launch(const spec::SandboxSpec& sandbox,
              Completion<std::unique_ptr<VirtualMachine>> done) override {
    Begin(sandbox, QemuLaunch::Purpose::kPod, std::move(done));
  }
  void Prepare(const spec::SandboxSpec& sandbox,
               Completion<std::unique_ptr<VirtualMachine>> done) override {
    Begin(sandbox, QemuLaunch::Purpose::kAhead, std::move(done));
  }

 private:
  void Begin(const spec::SandboxSpec& sandbox, QemuLaunch::Purpose purpose,
             QemuLaunch::Outcome done) {
    std::make_shared<QemuLaunch>(loop_, sandbox, purpose, std::move(done))->Begin();
  }
  EventLoop& loop_;
};

}  // namespace

std::unique_ptr<VmLauncher> MakeQemuLauncher(EventLoop& loop) {
  return std::make_unique<QemuLauncher>(loop);
}

}  // namespace catamaran

#include "vm-backend/host/qemu_template.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "sandbox/base/json_text.h"
#include "sandbox/protocol/backend_client.h"
#include "sandbox/protocol/stream_channel.h"

namespace catamaran {
namespace {

using nlohmann::json;

constexpr auto kAskAgain = std::chrono::milliseconds(5);
constexpr auto kEndPatience = std::chrono::seconds(10);

std::string IdentityOf(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return "absent";
  return fmt::format("{}:{}:{}:{}.{}", status.st_dev, status.st_ino, status.st_size,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

// One template in the making.
class Making : public std::enable_shared_from_this<Making> {
 public:
  Making(EventLoop& loop, Completion<UniqueFd> done) : loop_(loop), done_(std::move(done)) {}

  void Begin(const vm::TemplateRequest& request, int memory) {
    if (auto started = Start(request, memory); !started) Finish(std::move(started));
  }

 private:
  Status Start(const vm::TemplateRequest& request, int memory) {
    QemuStart start;
    ASSIGN_OR_RETURN(start.machine, MachineOfRequest(request));
    start.machine.memory = QemuMachine::Memory::kTemplateShared;
    ASSIGN_OR_RETURN(state_, MakeTemplateFile("catamaran-template-state", 0));
    start.memory = memory;
    ASSIGN_OR_RETURN(vm_, QemuVm::Start(loop_, start));
    vm_->OnExit([self = shared_from_this()](const MachineEnd& end) {
      self->Finish(Fail(ErrorCode::kInternal, "{}", end.reason));
    });
    StreamChannelOptions options;
    options.role = StreamChannelOptions::Role::kClient;
    ASSIGN_OR_RETURN(auto channel, MakeStreamChannel(loop_, vm_->TakeAgentChannel(), options));
    agent_ = std::make_unique<BackendClient>(loop_, std::move(channel));
    RETURN_IF_ERROR(agent_->Start([self = shared_from_this()](const Error& error) {
      self->AgentGone("the agent is gone: " + error.message);
    }));
    ASSIGN_OR_RETURN(timer_, loop_.RunAfter(kBootPatience, [self = shared_from_this()] {
      self->Finish(Fail(ErrorCode::kDeadlineExceeded, "the agent did not answer in time"));
    }));
    agent_->Hello([self = shared_from_this()](auto hello) {
      if (hello) return self->Save();
      // Else on_closed or the machine's end tells.
      if (hello.error().code != ErrorCode::kUnavailable)
        self->Finish(tl::unexpected<Error>(std::move(hello).error()));
    });
    return {};
  }

  // The machine's own end, which mostly follows, says more.
  void AgentGone(const std::string& reason) {
    auto timer = loop_.RunAfter(kEndPatience, [self = shared_from_this(), reason] {
      self->Finish(Fail(ErrorCode::kInternal, "{}", reason));
    });
    if (!timer) return Finish(Fail(ErrorCode::kInternal, "{}", reason));
    timer_ = std::move(*timer);
  }

  void Save() {
    transfer_ = QemuStateTransfer::Begin(
        loop_, *vm_, "migrate", state_.get(),
        [self = shared_from_this()](Status saved) { self->OnSaved(std::move(saved)); });
  }

  void OnSaved(Status saved) {
    if (!saved) return Finish(std::move(saved));
    agent_.reset();  // its end is no failure any more
    // Only when QEMU is gone does nobody map the memory any more.
    vm_->Kill([self = shared_from_this()](Status killed) { self->Finish(std::move(killed)); });
  }

  // From the loop: the caller may be a callback of what goes.
  void Finish(Status outcome) {
    if (!done_) return;
    timer_.Cancel();
    loop_.Post([self = shared_from_this(), done = std::move(done_),
                outcome = std::move(outcome)]() mutable {
      self->transfer_.reset();
      self->agent_.reset();
      self->vm_.reset();  // killed and reaped
      if (outcome) return done(std::move(self->state_));
      done(tl::unexpected<Error>(std::move(outcome).error()));
    });
  }

  EventLoop& loop_;
  Completion<UniqueFd> done_;
  UniqueFd state_;
  std::unique_ptr<QemuVm> vm_;
  std::unique_ptr<BackendClient> agent_;
  std::unique_ptr<QemuStateTransfer> transfer_;
  EventLoop::Watch timer_;
};

class QemuTemplateMaker final : public TemplateMaker {
 public:
  explicit QemuTemplateMaker(EventLoop& loop) : loop_(loop) {}
  void Make(const vm::TemplateRequest& request, int memory, Completion<UniqueFd> done) override {
    std::make_shared<Making>(loop_, std::move(done))->Begin(request, memory);
  }

 private:
  EventLoop& loop_;
};

}  // namespace

vm::TemplateRequest TemplateRequestFor(const QemuMachine& machine) {
  vm::TemplateRequest request;
  request.mutable_machine()->set_qemu(machine.qemu);
  request.mutable_machine()->set_kernel(machine.kernel.string());
  request.mutable_machine()->set_initramfs(machine.initramfs.string());
  request.mutable_machine()->set_command_line(machine.command_line);
  request.mutable_machine()->set_cpus(machine.cpus);
  request.set_memory_bytes(machine.memory_bytes);
  request.set_accelerator(std::string(AcceleratorName(machine.accelerator)));
  // The device tree, machine type and CPU model, as this build makes them.
  QemuMachine plain = machine;
  plain.network = false;
  plain.mac.clear();
  plain.boot = QemuMachine::Boot::kKernel;
  plain.memory = QemuMachine::Memory::kTemplateShared;
  for (const std::string& argument : QemuArguments(plain)) request.add_arguments(argument);
  for (const std::string& path :
       {machine.qemu, machine.kernel.string(), machine.initramfs.string()})
    (*request.mutable_files())[path] = IdentityOf(path);
  return request;
}

Result<QemuMachine> MachineOfRequest(const vm::TemplateRequest& request) {
  QemuMachine machine;
  machine.qemu = request.machine().qemu();
  machine.kernel = HostPath(request.machine().kernel());
  machine.initramfs = HostPath(request.machine().initramfs());
  machine.command_line = request.machine().command_line();
  machine.cpus = request.machine().cpus();
  machine.memory_bytes = request.memory_bytes();
  for (const Accelerator accelerator : {Accelerator::kKvm, Accelerator::kTcg}) {
    machine.accelerator = accelerator;
    if (request.accelerator() == AcceleratorName(accelerator)) return machine;
  }
  return Fail(ErrorCode::kInvalidArgument, "accelerator: \"{}\"; kvm or tcg is due",
              request.accelerator());
}

std::unique_ptr<TemplateMaker> MakeQemuTemplateMaker(EventLoop& loop) {
  return std::make_unique<QemuTemplateMaker>(loop);
}

std::unique_ptr<QemuStateTransfer> QemuStateTransfer::Begin(EventLoop& loop, QemuVm& machine,
                                                            const std::string& command, int state,
                                                            Done done) {
  std::unique_ptr<QemuStateTransfer> transfer(
      new QemuStateTransfer(loop, machine, std::move(done)));
  // RAM is a file that both sides have: it is neither written to the state nor read from it.
  const json capability = {{"capability", "x-ignore-shared"}, {"state", true}};
  machine.monitor().Execute("migrate-set-capabilities",
                            {{"capabilities", json::array({capability})}}, [](auto) {});
  if (auto passed = machine.monitor().PassDescriptor("state", state); !passed) {
    loop.Post([self = transfer.get(), alive = std::weak_ptr(transfer->alive_),
               error = std::move(passed).error()]() mutable {
      if (!alive.expired()) self->Finish(tl::unexpected<Error>(std::move(error)));
    });
    return transfer;
  }
  const json from_descriptor = {{"uri", "fd:state"}};
  machine.monitor().Execute(
      command, from_descriptor,
      [self = transfer.get(), alive = std::weak_ptr(transfer->alive_)](Result<json> begun) {
        if (alive.expired()) return;
        if (begun) return self->Ask();
        self->Finish(tl::unexpected<Error>(begun.error()));
      });
  return transfer;
}

void QemuStateTransfer::Ask() {
  machine_.monitor().Execute("query-migrate", json::object(),
                             [this, alive = std::weak_ptr(alive_)](Result<json> answer) {
                               if (alive.expired()) return;
                               if (!answer) return Finish(tl::unexpected<Error>(answer.error()));
                               OnAnswer(TextAt(*answer, "status"), TextAt(*answer, "error-desc"));
                             });
}

void QemuStateTransfer::OnAnswer(const std::string& status, const std::string& why) {
  if (status == "completed") return Finish({});
  if (status == "failed" || status == "cancelled")
    return Finish(Fail(ErrorCode::kInternal, "device state: {} ({})", status, why));
  auto timer = loop_.RunAfter(kAskAgain, [this] { Ask(); });
  if (!timer) return Finish(tl::unexpected<Error>(std::move(timer).error()));
  timer_ = std::move(*timer);
}

void QemuStateTransfer::Finish(Status outcome) {
  if (auto done = std::move(done_)) done(std::move(outcome));
}

}  // namespace catamaran

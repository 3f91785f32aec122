#include "vm-backend/host/process_launcher.h"

#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/host/vmm_process.h"

namespace catamaran {
namespace {

constexpr int kAgentDescriptor = 3;

class LocalAgent final : public VirtualMachine {
 public:
  static Result<std::unique_ptr<VirtualMachine>> Start(EventLoop& loop,
                                                       const std::string& program) {
    auto agent = std::make_unique<LocalAgent>();
    ASSIGN_OR_RETURN(SocketPair sockets, MakeSocketPair(SOCK_STREAM));
    agent->channel_ = std::move(sockets.ours);
    VmmCommand command;
    command.arguments = {program, "--fd", std::to_string(kAgentDescriptor)};
    command.descriptors = {{kAgentDescriptor, sockets.theirs.get()}};
    ASSIGN_OR_RETURN(
        agent->process_,
        VmmProcess::Start(loop, command, [raw = agent.get()](ProcessEnd end) { raw->Ended(end); }));
    return agent;
  }

  UniqueFd TakeAgentChannel() override { return std::move(channel_); }
  UniqueFd TakeVolumeChannel() override { return UniqueFd(); }
  void AttachDisk(const VmDisk&, Done done) override {
    done(Fail(ErrorCode::kUnimplemented, "a local agent reads the host's files, not disks"));
  }
  void AttachDevice(UniqueFd, const std::string&, bool, Done done) override {
    done(Fail(ErrorCode::kUnimplemented, "a local agent opens the host's devices itself"));
  }
  void DetachDisk(const std::string&, Done done) override { done({}); }
  void Rest(Done done) override { done({}); }
  void Claim(const spec::SandboxSpec&, Done done) override { done({}); }
  pod::PrepareSandboxResponse suits() const override { return {}; }
  void Kill(Done done) override {
    if (ended_) return done({});
    killed_ = true;
    waiting_.push_back(std::move(done));
    (void)process_->Kill();
  }
  void OnExit(UniqueFunction<void(MachineEnd)> callback) override {
    on_exit_ = std::move(callback);
  }
  bool shares_host_files() const override { return true; }
  std::string writable_disk_serial() const override { return ""; }
  std::map<std::string, std::string> details() const override {
    return {{"launcher", "process"}, {"accelerator", "none"}, {"start", "booted"}};
  }

 private:
  void Ended(ProcessEnd end) {
    ended_ = true;
    auto waiting = std::move(waiting_);
    auto on_exit = std::move(on_exit_);
    const bool killed = killed_;
    for (auto& done : waiting) done({});
    if (!killed && on_exit)
      on_exit({.reason = fmt::format("the local agent ended (exit code {})", end.exit_code),
               .signal = end.signal});
  }

  UniqueFd channel_;
  std::unique_ptr<VmmProcess> process_;
  UniqueFunction<void(MachineEnd)> on_exit_;
  std::vector<Done> waiting_;
  bool killed_ = false;
  bool ended_ = false;
};

class ProcessLauncher final : public VmLauncher {
 public:
  explicit ProcessLauncher(EventLoop& loop) : loop_(loop) {}
  void Launch(const spec::SandboxSpec& sandbox,
              Completion<std::unique_ptr<VirtualMachine>> done) override {
    if (sandbox.machine().agent().empty())
      return done(
          Fail(ErrorCode::kInvalidArgument, "machine.agent: empty; the program's path is due"));
    done(LocalAgent::Start(loop_, sandbox.machine().agent()));
  }
  void Prepare(const spec::SandboxSpec& sandbox,
               Completion<std::unique_ptr<VirtualMachine>> done) override {
    Launch(sandbox, std::move(done));
  }

 private:
  EventLoop& loop_;
};

}  // namespace

std::unique_ptr<VmLauncher> MakeProcessLauncher(EventLoop& loop) {
  return std::make_unique<ProcessLauncher>(loop);
}

}  // namespace catamaran

// hostile-agent: /init of a guest that belongs to an attacker. To its shim it looks like any agent,
// until an Exec whose arguments are an attack of attacks.h; the attack's report is its output.

#include <unistd.h>

#include <cstdio>

#include "sandbox/backend/fake_backend.h"
#include "sandbox/backend/forwarding_backend.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/process.h"
#include "sandbox/protocol/backend_server.h"
#include "sandbox/protocol/stream_channel.h"
#include "vm-backend/agent/guest_init.h"
#include "vm-backend/hostile/attacks.h"

namespace catamaran {
namespace {

class HostileBackend final : public ForwardingBackend {
 public:
  HostileBackend(EventLoop& loop, GuestPorts ports)
      : ForwardingBackend(std::make_unique<FakeBackend>(loop)), loop_(loop), ports_(ports) {}

  void SetEventSink(EventSink sink) override {
    sink_ = std::move(sink);
    next().SetEventSink([this](const pod::Event& event) { sink_(event); });
  }
  void Exec(const pod::ExecRequest& request, Stdio stdio,
            Completion<pod::ExecResponse> done) override {
    pod::ExecResponse started;
    started.set_pid(getpid());
    done(std::move(started));
    out_ = std::move(stdio.out);
    attack_ = ChildTask::Start(
        loop_,
        [words = std::vector<std::string>(request.args().begin(), request.args().end()),
         ports = ports_] { return CarryOut(words, ports); },
        [this, request](Result<std::string> report) { Ended(request, std::move(report)); });
  }

  void CreateSandbox(const pod::CreateSandboxRequest& request,
                     Completion<pod::CreateSandboxResponse> done) override {
    ports_.volume_secret = request.sandbox().guest().volume_secret();
    next().CreateSandbox(request, std::move(done));
  }

 private:
  void Ended(const pod::ExecRequest& request, Result<std::string> report) {
    (void)WriteAll(out_.get(), report ? *report : report.error().message + "\n");
    out_.Reset();
    pod::Event event;
    event.mutable_exited()->mutable_process()->set_container_id(request.container_id());
    event.mutable_exited()->mutable_process()->set_exec_id(request.exec_id());
    event.mutable_exited()->mutable_exit()->set_exit_code(report ? 0 : 1);
    sink_(event);
  }

  EventLoop& loop_;
  GuestPorts ports_;
  EventSink sink_;
  UniqueFd out_;  // of the attack under way
  std::unique_ptr<ChildTask> attack_;
};

Status Serve() {
  ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
  ASSIGN_OR_RETURN(UniqueFd agent, OpenSerialPort("agent"));
  ASSIGN_OR_RETURN(const UniqueFd volumes, OpenSerialPort("volumes"));
  HostileBackend backend(*loop, {agent.get(), volumes.get(), ""});
  BackendServer::Options options;
  options.build = "hostile-agent";
  BackendServer server(*loop, backend, std::move(options));
  StreamChannelOptions channel_options;
  channel_options.role = StreamChannelOptions::Role::kServer;
  channel_options.at_end = StreamChannelOptions::AtEnd::kPeerMayReturn;
  ASSIGN_OR_RETURN(auto channel, MakeStreamChannel(*loop, std::move(agent), channel_options));
  RETURN_IF_ERROR(server.Serve(std::move(channel)));
  return loop->Run();
}

int Agent() {
  const auto served = Serve();
  if (!served) fprintf(stderr, "hostile-agent: %s\n", served.error().message.c_str());
  return served ? 0 : 1;
}

}  // namespace
}  // namespace catamaran

int main() {
  if (getpid() != 1) {
    fprintf(stderr, "hostile-agent is the init of a guest; see README.md\n");
    return 2;
  }
  if (auto ready = catamaran::SetUpGuest(); !ready)
    fprintf(stderr, "hostile-agent: %s\n", ready.error().message.c_str());
  return catamaran::SuperviseAgent(catamaran::Agent);
}

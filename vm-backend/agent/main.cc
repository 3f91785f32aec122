// catamaran-agent: the container engine of a VM pod, served to its shim over one byte stream.
//
// As pid 1 it is the guest's whole user space: it sets the guest up and serves the virtio-serial
// port "agent". As an ordinary process (`catamaran-agent --fd N`, the process launcher of tests) it
// serves that descriptor and leaves the machine as it is.

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "sandbox/backend/namespace_backend.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/protocol/backend_server.h"
#include "sandbox/protocol/stream_channel.h"
#include "vm-backend/agent/agent_backend.h"
#include "vm-backend/agent/guest_init.h"
#include "vm-backend/volumes/fuse_guest_volumes.h"

namespace catamaran {
namespace {

int Complain(const Error& error) {
  fprintf(stderr, "catamaran-agent: %s\n", error.message.c_str());
  return 1;
}

// Serves until the stream ends for good. SIGTERM, which only a local process gets, destroys the
// sandbox first.
Status Serve(EventLoop& loop, SandboxBackend& backend, UniqueFd stream,
             StreamChannelOptions::AtEnd at_end) {
  BackendServer::Options options;
  options.build = "catamaran-agent";
  options.name = "agent";
  // In a guest CreateSandbox tells it, when this guest has one of its own.
  options.tells_boot_id = at_end == StreamChannelOptions::AtEnd::kClosed;
  options.on_connection_closed = [&loop] { loop.Stop(); };
  BackendServer server(loop, backend, std::move(options));
  StreamChannelOptions channel_options;
  channel_options.role = StreamChannelOptions::Role::kServer;
  channel_options.at_end = at_end;
  ASSIGN_OR_RETURN(auto channel, MakeStreamChannel(loop, std::move(stream), channel_options));
  RETURN_IF_ERROR(server.Serve(std::move(channel)));
  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  sigprocmask(SIG_BLOCK, &terminate, nullptr);
  UniqueFd signals(signalfd(-1, &terminate, SFD_CLOEXEC | SFD_NONBLOCK));
  ASSIGN_OR_RETURN(auto watch, loop.WatchFd(signals.get(), EPOLLIN, [&](uint32_t) {
    signalfd_siginfo info;
    while (read(signals.get(), &info, sizeof info) > 0) {
    }
    backend.DestroySandbox([&loop](Status) { loop.Stop(); });
  }));
  return loop.Run();
}

Status RunInGuest() {
  ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
  ASSIGN_OR_RETURN(auto engine, MakeNamespaceBackend(*loop));
  AgentBackend backend(*loop, std::move(engine),
                       MakeFuseGuestVolumes(*loop, GuestPath("/run/catamaran")));
  ASSIGN_OR_RETURN(UniqueFd port, OpenSerialPort("agent"));
  return Serve(*loop, backend, std::move(port), StreamChannelOptions::AtEnd::kPeerMayReturn);
}

Status RunAsProcess(int fd) {
  ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
  ASSIGN_OR_RETURN(auto engine, MakeNamespaceBackend(*loop));
  return Serve(*loop, *engine, UniqueFd(fd), StreamChannelOptions::AtEnd::kClosed);
}

int GuestAgent() {
  InitAbortSteps("agent");
  const auto served = RunInGuest();
  return served ? 0 : Complain(served.error());
}

int Main(int argc, char** argv) {
  if (getpid() == 1) {
    if (auto ready = SetUpGuest(); !ready) {
      Complain(ready.error());
      EndMachine();
    }
    return SuperviseAgent(GuestAgent);
  }
  if (argc != 3 || std::string_view(argv[1]) != "--fd") {
    fprintf(stderr, "usage: catamaran-agent --fd N (or as pid 1 of a guest)\n");
    return 2;
  }
  InitAbortSteps("agent");
  const auto served = RunAsProcess(std::atoi(argv[2]));
  return served ? 0 : Complain(served.error());
}

}  // namespace
}  // namespace catamaran

int main(int argc, char** argv) { return catamaran::Main(argc, argv); }

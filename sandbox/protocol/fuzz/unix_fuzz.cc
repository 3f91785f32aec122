// What arrives on the shim's socket: any bytes, before a server of a backend that answers.
#include <signal.h>

#include <cstdlib>

#include "sandbox/backend/fake_backend.h"
#include "sandbox/kernel/unix_socket.h"
#include "sandbox/protocol/backend_server.h"
#include "sandbox/protocol/unix_channel.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace catamaran;
  signal(SIGPIPE, SIG_IGN);
  auto loop = EventLoop::Create().value();
  FakeBackend backend(*loop);
  BackendServer server(*loop, backend, {.build = "fuzz"});
  auto [client, server_end] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
  if (!server.Serve(
          MakeUnixChannel(*loop, std::move(server_end), {.max_message = 1 << 20}).value()))
    abort();
  (void)send(client.get(), data, size, MSG_NOSIGNAL);
  for (int i = 0; i < 8; ++i) (void)loop->RunOnce(std::chrono::milliseconds(0));
  client.Reset();
  for (int i = 0; i < 4; ++i) (void)loop->RunOnce(std::chrono::milliseconds(0));
  return 0;
}

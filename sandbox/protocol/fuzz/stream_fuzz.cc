// What a hostile guest can send to the shim: first it answers the opening (or not), then pieces of
// the input arrive raw or as well-formed frames of the session, which reach the verbs and streams
// above. The input is a list of [kind, length, bytes...].
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"
#include "sandbox/protocol/backend_client.h"
#include "sandbox/protocol/frame.h"
#include "sandbox/protocol/stream_channel.h"

namespace catamaran {
namespace {

void Turn(EventLoop& loop) {
  for (int i = 0; i < 3; ++i) (void)loop.RunOnce(std::chrono::milliseconds(0));
}

uint64_t ReadEpoch(int fd) {
  char buffer[4096];
  const ssize_t count = read(fd, buffer, sizeof buffer);
  if (count <= 0) abort();
  FrameParser parser;
  parser.Append({buffer, static_cast<size_t>(count)});
  auto frame = parser.Next(FrameParser::Damage::kSkip);
  if (!frame || !*frame) abort();
  return (*frame)->header.epoch;
}

// Calls that give the guest something to answer: ids 1 to 5, streams 1 to 5.
void Ask(BackendClient& client, std::vector<UniqueFd>& ends) {
  client.SetEventSink([](const pod::Event&) {});
  client.Hello([](auto) {});
  pod::CreateContainerRequest create;
  create.mutable_container()->set_container_id("c");
  Stdio stdio;
  auto out = MakePipe().value(), err = MakePipe().value(), in = MakePipe().value();
  stdio.out = std::move(out.write_end);
  stdio.err = std::move(err.write_end);
  stdio.in = std::move(in.read_end);
  ends.push_back(std::move(out.read_end));
  ends.push_back(std::move(in.write_end));
  (void)WriteAll(ends.back().get(), "input");
  client.CreateContainer(create, std::move(stdio), [](auto) {});
  client.List([](auto) {});
  pod::DialPortRequest dial;
  dial.set_port(80);
  client.DialPort(dial, [](auto) {});
  client.Stats({}, [](auto) {});
}

}  // namespace
}  // namespace catamaran

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace catamaran;
  signal(SIGPIPE, SIG_IGN);
  auto loop = EventLoop::Create().value();
  auto [host, guest] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
  StreamChannelOptions options;
  options.role = StreamChannelOptions::Role::kClient;
  options.limits.max_message = 1 << 20;
  std::vector<UniqueFd> ends;
  BackendClient client(*loop, MakeStreamChannel(*loop, std::move(host), options).value());
  if (!client.Start([](const Error&) {})) abort();
  const uint64_t epoch = ReadEpoch(guest.get());
  Ask(client, ends);
  while (size >= 2) {
    const uint8_t kind = data[0];
    const size_t length = std::min<size_t>(data[1], size - 2);
    const std::string_view bytes(reinterpret_cast<const char*>(data + 2), length);
    std::string wire(bytes);
    if (kind == 1) wire = EncodeFrame({kAcceptFrame, 0, epoch, 0}, "");
    if (kind >= 2 && length >= 2)
      wire = EncodeFrame({kind, static_cast<uint8_t>(bytes[0]), epoch,
                          static_cast<uint32_t>(static_cast<unsigned char>(bytes[1]))},
                         bytes.substr(2));
    (void)send(guest.get(), wire.data(), wire.size(), MSG_NOSIGNAL);
    Turn(*loop);
    data += 2 + length;
    size -= 2 + length;
  }
  guest.Reset();
  Turn(*loop);
  return 0;
}

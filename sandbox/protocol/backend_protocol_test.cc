#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "sandbox/backend/fake_backend.h"
#include "sandbox/protocol/backend_client.h"
#include "sandbox/protocol/backend_server.h"
#include "sandbox/protocol/channel_test_util.h"
#include "sandbox/protocol/stream_channel.h"
#include "sandbox/protocol/unix_channel.h"

namespace catamaran {
namespace {

enum class Transport { kUnix, kStream };

// A client and a server of one fake backend in one loop, over either transport.
class BackendProtocolTest : public testing::TestWithParam<Transport> {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    Connect();
  }

  void Connect() {
    auto [left, right] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
    std::unique_ptr<MessageChannel> client_channel, server_channel;
    if (GetParam() == Transport::kUnix) {
      client_channel = MakeUnixChannel(*loop_, std::move(left)).value();
      server_channel = MakeUnixChannel(*loop_, std::move(right)).value();
    } else {
      StreamChannelOptions options;
      server_channel = MakeStreamChannel(*loop_, std::move(right), options).value();
      options.role = StreamChannelOptions::Role::kClient;
      client_channel = MakeStreamChannel(*loop_, std::move(left), options).value();
    }
    ASSERT_TRUE(server_->Serve(std::move(server_channel)));
    client_ = std::make_unique<BackendClient>(*loop_, std::move(client_channel));
    ASSERT_TRUE(client_->Start([this](const Error&) { ++disconnects_; }));
    client_->SetEventSink([this](const pod::Event& event) { events_.push_back(event); });
    auto hello = Wait<pod::HelloResponse>([&](auto done) { client_->Hello(std::move(done)); });
    ASSERT_TRUE(hello) << hello.error().message;
    EXPECT_EQ(hello->protocol_version(), kPodProtocol);
    EXPECT_EQ(hello->build(), "test");
    EXPECT_FALSE(hello->boot_id().empty());
  }

  template <typename T>
  Result<T> Wait(const std::function<void(Completion<T>)>& call) {
    std::optional<Result<T>> result;
    call([&](Result<T> value) { result = std::move(value); });
    RunUntil(
        *loop_, [&] { return result.has_value(); }, "an answer");
    if (!result) return Fail(ErrorCode::kDeadlineExceeded, "no answer");
    return std::move(*result);
  }

  Status Create(const std::string& id, std::vector<std::string> args, Stdio stdio = {}) {
    pod::CreateContainerRequest request;
    request.mutable_container()->set_container_id(id);
    for (auto& arg : args) request.mutable_container()->mutable_process()->add_args(arg);
    auto created = Wait<pod::CreateContainerResponse>(
        [&](auto done) { client_->CreateContainer(request, std::move(stdio), std::move(done)); });
    if (!created) return tl::unexpected(created.error());
    return {};
  }
  Status Start(const std::string& id) {
    pod::StartContainerRequest request;
    request.set_container_id(id);
    auto started = Wait<pod::StartContainerResponse>(
        [&](auto done) { client_->StartContainer(request, std::move(done)); });
    if (!started) return tl::unexpected(started.error());
    return {};
  }
  void MakeSandbox() {
    ASSERT_TRUE(Wait<pod::CreateSandboxResponse>(
        [&](auto done) { client_->CreateSandbox({}, std::move(done)); }));
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  FakeBackend backend_{*loop_};
  std::unique_ptr<BackendServer> server_ =
      std::make_unique<BackendServer>(*loop_, backend_, BackendServer::Options{.build = "test"});
  std::unique_ptr<BackendClient> client_;
  std::vector<pod::Event> events_;
  int disconnects_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Transports, BackendProtocolTest,
                         testing::Values(Transport::kUnix, Transport::kStream),
                         [](const auto& info) {
                           return info.param == Transport::kUnix ? "Unix" : "Stream";
                         });

TEST_P(BackendProtocolTest, CarriesVerbsAnswersAndErrors) {
  MakeSandbox();
  auto again = Wait<pod::CreateSandboxResponse>(
      [&](auto done) { client_->CreateSandbox({}, std::move(done)); });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  ASSERT_TRUE(Create("a", {"sleep"}));
  ASSERT_TRUE(Start("a"));
  EXPECT_EQ(Start("a").error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(Start("b").error().code, ErrorCode::kNotFound);
  auto list = Wait<pod::ListResponse>([&](auto done) { client_->List(std::move(done)); });
  ASSERT_TRUE(list);
  ASSERT_EQ(list->containers_size(), 1);
  EXPECT_EQ(list->containers(0).state(), spec::RUNNING);
  auto stats = Wait<pod::StatsResponse>([&](auto done) { client_->Stats({}, std::move(done)); });
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->stats().containers(0).container_id(), "a");
  EXPECT_TRUE(Wait<void>([&](auto done) { client_->Pause(std::move(done)); }));
  EXPECT_TRUE(Wait<void>([&](auto done) { client_->Resume(std::move(done)); }));
  pod::SignalRequest signal;
  signal.mutable_process()->set_container_id("a");
  signal.set_signal(SIGTERM);
  ASSERT_TRUE(Wait<void>([&](auto done) { client_->Signal(signal, std::move(done)); }));
  RunUntil(*loop_, [&] { return !events_.empty(); });
  EXPECT_EQ(events_[0].exited().exit().exit_code(), 143);
  pod::RemoveContainerRequest remove;
  remove.set_container_id("a");
  ASSERT_TRUE(Wait<void>([&](auto done) { client_->RemoveContainer(remove, std::move(done)); }));
}

TEST_P(BackendProtocolTest, VerbsThatNobodyServesAreUnimplemented) {
  auto shutdown = Wait<void>([&](auto done) { client_->Shutdown(std::move(done)); });
  EXPECT_EQ(shutdown.error().code, ErrorCode::kUnimplemented);
  auto reopen = Wait<void>([&](auto done) { client_->ReopenLog({}, std::move(done)); });
  EXPECT_EQ(reopen.error().code, ErrorCode::kUnimplemented);
  auto attach = Wait<UniqueFd>([&](auto done) { client_->Attach({}, {}, std::move(done)); });
  EXPECT_EQ(attach.error().code, ErrorCode::kUnimplemented);
}

TEST_P(BackendProtocolTest, AnExitComesAfterTheLastByteOfOutput) {
  MakeSandbox();
  auto out = MakePipe(O_NONBLOCK).value();
  auto err = MakePipe(O_NONBLOCK).value();
  Stdio stdio;
  stdio.out = std::move(out.write_end);
  stdio.err = std::move(err.write_end);
  ASSERT_TRUE(Create("a", {"lines", "20000", "100"}, std::move(stdio)));
  ASSERT_TRUE(Start("a"));
  std::string output[2];
  bool drained_after_exit = false;
  RunUntil(*loop_, [&] {
    const bool exited = !events_.empty();
    char buffer[65536];
    for (int i = 0; i < 2; ++i) {
      const int fd = (i == 0 ? out : err).read_end.get();
      ssize_t count;
      while ((count = read(fd, buffer, sizeof buffer)) > 0) output[i].append(buffer, count);
    }
    drained_after_exit = exited;
    return exited;
  });
  // What the pipes held when the exit was reported was everything.
  ASSERT_TRUE(drained_after_exit);
  EXPECT_EQ(output[0].size(), 10000u * 100);
  EXPECT_EQ(output[1].size(), 10000u * 100);
  EXPECT_EQ(output[0].substr(0, 12), "0000000000 a");
  EXPECT_EQ(output[1].substr(0, 12), "0000000001 b");
  EXPECT_EQ(events_[0].exited().exit().exit_code(), 0);
}

TEST_P(BackendProtocolTest, StdinReachesTheProcessWithItsEnd) {
  MakeSandbox();
  ASSERT_TRUE(Create("a", {"sleep"}));
  ASSERT_TRUE(Start("a"));
  auto in = MakePipe().value();
  auto out = MakePipe(O_NONBLOCK).value();
  pod::ExecRequest exec;
  exec.set_container_id("a");
  exec.set_exec_id("e");
  exec.add_args("cat");
  ASSERT_TRUE(Wait<pod::ExecResponse>([&](auto done) {
    Stdio stdio;
    stdio.in = std::move(in.read_end);
    stdio.out = std::move(out.write_end);
    client_->Exec(exec, std::move(stdio), std::move(done));
  }));
  std::string sent, received;
  for (int i = 0; i < 30000; ++i) sent += std::to_string(i) + "\n";
  ASSERT_TRUE(SetNonBlocking(in.write_end.get()));
  size_t written = 0;
  RunUntil(*loop_, [&] {
    if (in.write_end.valid()) {
      const ssize_t count = write(in.write_end.get(), sent.data() + written, sent.size() - written);
      if (count > 0) written += count;
      if (written == sent.size()) in.write_end.Reset();
    }
    char buffer[65536];
    ssize_t count;
    while ((count = read(out.read_end.get(), buffer, sizeof buffer)) > 0)
      received.append(buffer, count);
    return !events_.empty();
  });
  EXPECT_EQ(received, sent);
  EXPECT_EQ(events_[0].exited().process().exec_id(), "e");
}

TEST_P(BackendProtocolTest, ASlowReaderHoldsUpNobodyElse) {
  MakeSandbox();
  auto stuck = MakePipe().value();
  Stdio stdio;
  stdio.out = std::move(stuck.write_end);
  ASSERT_TRUE(Create("slow", {"lines", "100000", "100"}, std::move(stdio)));
  ASSERT_TRUE(Start("slow"));
  auto out = MakePipe(O_NONBLOCK).value();
  Stdio other;
  other.out = std::move(out.write_end);
  ASSERT_TRUE(Create("other", {"print", "hello"}, std::move(other)));
  ASSERT_TRUE(Start("other"));
  RunUntil(*loop_, [&] { return !events_.empty(); });
  EXPECT_EQ(events_[0].exited().process().container_id(), "other");
  char buffer[16];
  EXPECT_EQ(read(out.read_end.get(), buffer, sizeof buffer), 6);
  // Once its reader goes, the writer is told and ends.
  stuck.read_end.Reset();
  RunUntil(*loop_, [&] { return events_.size() == 2; });
  EXPECT_EQ(events_[1].exited().process().container_id(), "slow");
}

TEST_P(BackendProtocolTest, DialledPortsCarryBytesBothWays) {
  MakeSandbox();
  pod::DialPortRequest dial;
  dial.set_port(9);
  auto refused = Wait<UniqueFd>([&](auto done) { client_->DialPort(dial, std::move(done)); });
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  dial.set_port(7);
  auto socket = Wait<UniqueFd>([&](auto done) { client_->DialPort(dial, std::move(done)); });
  ASSERT_TRUE(socket) << socket.error().message;
  ASSERT_TRUE(WriteAll(socket->get(), "ping"));
  char buffer[16];
  ssize_t count = -1;
  RunUntil(*loop_, [&] {
    count = recv(socket->get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return count >= 0;
  });
  EXPECT_EQ(std::string(buffer, count), "ping");
  ASSERT_EQ(shutdown(socket->get(), SHUT_WR), 0);
  RunUntil(*loop_, [&] {
    count = recv(socket->get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return count >= 0;
  });
  EXPECT_EQ(count, 0);
}

TEST_P(BackendProtocolTest, CallsInFlightFailWhenThePeerDies) {
  std::optional<Result<pod::ListResponse>> result;
  client_->List([&](auto value) { result = std::move(value); });
  server_.reset();
  RunUntil(*loop_, [&] { return result.has_value() && disconnects_ == 1; });
  EXPECT_EQ(result->error().code, ErrorCode::kUnavailable);
  auto late = Wait<pod::ListResponse>([&](auto done) { client_->List(std::move(done)); });
  EXPECT_EQ(late.error().code, ErrorCode::kUnavailable);
}

TEST_P(BackendProtocolTest, AnotherClientFindsWhatHappenedMeanwhile) {
  MakeSandbox();
  ASSERT_TRUE(Create("a", {"exit", "3"}));
  pod::StartContainerRequest start;
  start.set_container_id("a");
  client_->StartContainer(start, [](auto) {});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(1)));
  client_.reset();
  RunUntil(*loop_, [&] { return server_->connections() == 0; });
  events_.clear();
  Connect();
  auto list = Wait<pod::ListResponse>([&](auto done) { client_->List(std::move(done)); });
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->sandbox_ready());
  ASSERT_EQ(list->containers_size(), 1);
  EXPECT_EQ(list->containers(0).state(), spec::EXITED);
  EXPECT_EQ(list->containers(0).exit().exit_code(), 3);
}

TEST_P(BackendProtocolTest, FailedCreatesGiveTheirDescriptorsBack) {
  MakeSandbox();
  auto out = MakePipe(O_NONBLOCK).value();
  Stdio stdio;
  stdio.out = std::move(out.write_end);
  auto created = Create("a", {"fail-create", "9"}, std::move(stdio));
  EXPECT_EQ(created.error().code, ErrorCode::kFailedPrecondition);
  char byte;
  RunUntil(
      *loop_, [&] { return read(out.read_end.get(), &byte, 1) == 0; }, "end of file");
}

}  // namespace
}  // namespace catamaran

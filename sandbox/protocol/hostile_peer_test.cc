#include <unistd.h>

#include <random>

#include "sandbox/backend/fake_backend.h"
#include "sandbox/protocol/backend_client.h"
#include "sandbox/protocol/backend_server.h"
#include "sandbox/protocol/channel_test_util.h"
#include "sandbox/protocol/error_wire.h"
#include "sandbox/protocol/stream_channel.h"
#include "sandbox/protocol/unix_channel.h"

namespace catamaran {
namespace {

// The far end of a BackendClient, driven by the test: an agent that a hostile guest took over.
class HostileAgentTest : public testing::Test {
 protected:
  void SetUp() override {
    client_.reset();
    agent_ = Recorder();
    auto [host, guest] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
    StreamChannelOptions options;
    agent_.channel = MakeStreamChannel(*loop_, std::move(guest), options).value();
    agent_.Start();
    options.role = StreamChannelOptions::Role::kClient;
    client_ = std::make_unique<BackendClient>(
        *loop_, MakeStreamChannel(*loop_, std::move(host), options).value());
    ASSERT_TRUE(client_->Start([this](const Error& error) { closed_ = error; }));
    RunUntil(*loop_, [&] { return agent_.sessions == 1; });
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  Recorder agent_;
  std::unique_ptr<BackendClient> client_;
  std::optional<Error> closed_;
};

TEST_F(HostileAgentTest, DataBeyondTheCreditEndsTheConnection) {
  auto out = MakePipe().value();
  Stdio stdio;
  stdio.out = std::move(out.write_end);
  pod::CreateContainerRequest create;
  create.mutable_container()->set_container_id("a");
  client_->CreateContainer(create, std::move(stdio), [](auto) {});
  RunUntil(*loop_, [&] { return !agent_.messages.empty(); });
  pod::Request request;
  ASSERT_TRUE(request.ParseFromString(agent_.messages[0].body));
  const uint32_t stream = request.stdio().out();
  ASSERT_NE(stream, 0u);
  // The pipe takes 64 KiB and the window 128: nobody reads.
  size_t sent = 0;
  RunUntil(*loop_, [&] {
    if (agent_.channel->HasRoom() &&
        agent_.channel->Send(MakeMessage(MessageType::kData, std::string(30000, 'x'), stream),
                             MessageChannel::Order::kBulk))
      sent += 30000;
    return closed_.has_value();
  });
  EXPECT_LT(sent, 2u << 20);
}

TEST_F(HostileAgentTest, MalformedMessagesEndTheConnectionAndFailItsCalls) {
  for (const MessageType type :
       {MessageType::kResponse, MessageType::kEvent, MessageType::kRequest, MessageType::kCredit}) {
    SetUp();
    closed_.reset();
    std::optional<Result<pod::ListResponse>> result;
    client_->List([&](auto value) { result = std::move(value); });
    ASSERT_TRUE(agent_.channel->Send(MakeMessage(type, "\xFF\xFF\xFF not a message", 1)));
    RunUntil(*loop_, [&] { return closed_.has_value() && result.has_value(); });
    EXPECT_EQ(result->error().code, ErrorCode::kUnavailable) << static_cast<int>(type);
  }
}

TEST_F(HostileAgentTest, AnswersToNothingOrOfAnotherVerbAreHarmless) {
  std::optional<Result<pod::ListResponse>> result;
  client_->List([&](auto value) { result = std::move(value); });
  RunUntil(*loop_, [&] { return !agent_.messages.empty(); });
  pod::Response stray;
  stray.set_id(999);
  ASSERT_TRUE(agent_.channel->Send(MakeMessage(MessageType::kResponse, stray.SerializeAsString())));
  pod::Request request;
  ASSERT_TRUE(request.ParseFromString(agent_.messages[0].body));
  pod::Response other;
  other.set_id(request.id());
  other.mutable_stats();
  ASSERT_TRUE(agent_.channel->Send(MakeMessage(MessageType::kResponse, other.SerializeAsString())));
  RunUntil(*loop_, [&] { return result.has_value(); });
  EXPECT_EQ(result->error().code, ErrorCode::kInternal);
  EXPECT_FALSE(closed_.has_value());
}

TEST_F(HostileAgentTest, StreamsThatWereNeverOpenedAreIgnored) {
  for (const MessageType type : {MessageType::kData, MessageType::kEnd, MessageType::kStop})
    ASSERT_TRUE(agent_.channel->Send(MakeMessage(type, "x", 0xFFFFFFFF)));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(1)));
  EXPECT_FALSE(closed_.has_value());
}

TEST(HostileClient, NothingIsServedBeforeHelloAndGarbageClosesTheConnection) {
  auto loop = EventLoop::Create().value();
  FakeBackend backend(*loop);
  BackendServer server(*loop, backend, {.build = "test"});
  auto [left, right] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
  Recorder client;
  client.channel = MakeUnixChannel(*loop, std::move(left)).value();
  client.Start();
  ASSERT_TRUE(server.Serve(MakeUnixChannel(*loop, std::move(right)).value()));
  const auto ask = [&](pod::Request request) {
    client.messages.clear();
    EXPECT_TRUE(
        client.channel->Send(MakeMessage(MessageType::kRequest, request.SerializeAsString())));
    RunUntil(*loop, [&] { return !client.messages.empty(); });
    pod::Response response;
    EXPECT_TRUE(response.ParseFromString(client.messages.at(0).body));
    return static_cast<ErrorCode>(response.error().code());
  };
  pod::Request request;
  request.mutable_list();
  EXPECT_EQ(ask(request), ErrorCode::kFailedPrecondition);
  request.mutable_hello()->set_protocol_version(0);
  EXPECT_EQ(ask(request), ErrorCode::kFailedPrecondition);
  request.mutable_hello()->set_protocol_version(99);
  EXPECT_EQ(ask(request), ErrorCode{});
  // A verb of a later version.
  EXPECT_EQ(ask(pod::Request()), ErrorCode::kUnimplemented);
  // Descriptors that did not come.
  request.mutable_exec()->set_container_id("a");
  request.mutable_stdio()->set_out(3);
  EXPECT_EQ(ask(request), ErrorCode::kInvalidArgument);
  ASSERT_TRUE(client.channel->Send(MakeMessage(MessageType::kRequest, "\xFF\xFF\xFF")));
  RunUntil(*loop, [&] { return server.connections() == 0; });
}

// A client that asks without reading answers is dropped, and others are served meanwhile.
TEST(HostileClient, AClientThatDoesNotReadLosesItsConnectionNotTheServerItsMemory) {
  auto loop = EventLoop::Create().value();
  FakeBackend backend(*loop);
  BackendServer server(*loop, backend, {.build = "test"});
  auto [left, right] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
  ASSERT_TRUE(
      server.Serve(MakeUnixChannel(*loop, std::move(right), {.max_queued = 100'000}).value()));
  pod::Request request;
  request.mutable_hello()->set_protocol_version(1);
  std::string body = request.SerializeAsString();
  const uint32_t header[3] = {static_cast<uint32_t>(body.size()), 0, 1};
  const std::string frame = std::string(reinterpret_cast<const char*>(header), 12) + body;
  size_t sent = 0;
  RunUntil(*loop, [&] {
    for (int i = 0; i < 100; ++i) {
      const ssize_t count = send(left.get(), frame.data() + sent % frame.size(),
                                 frame.size() - sent % frame.size(), MSG_NOSIGNAL);
      if (count > 0) sent += count;
    }
    return server.connections() == 0;
  });
}

TEST(ErrorWire, SurvivesTheJourneyAndIsMadeReadable) {
  const Error error{ErrorCode::kNotFound, ENOENT, "no caf\xC3\xA9 at \xFF\xC3",
                    ErrorSubject::kImageVolume};
  const Error back = ErrorFromWire(ErrorToWire(error));
  EXPECT_EQ(back.code, ErrorCode::kNotFound);
  EXPECT_EQ(back.system_errno, ENOENT);
  EXPECT_EQ(back.message, "no caf\xC3\xA9 at ??");
  EXPECT_EQ(back.subject, ErrorSubject::kImageVolume);
  spec::Error strange;
  strange.set_code(4711);
  strange.set_subject(static_cast<spec::Error::Subject>(4711));
  strange.set_message(std::string(100'000, 'x'));
  EXPECT_EQ(ErrorFromWire(strange).code, ErrorCode::kUnknown);
  EXPECT_EQ(ErrorFromWire(strange).subject, ErrorSubject::kUnnamed);
  EXPECT_EQ(ErrorFromWire(strange).message.size(), kMaxErrorText);
}

}  // namespace
}  // namespace catamaran

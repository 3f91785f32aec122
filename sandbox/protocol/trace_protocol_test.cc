// A request's trace, over one connection and over two in a row.
#include <limits>
#include <random>

#include "sandbox/backend/fake_backend.h"
#include "sandbox/backend/forwarding_backend.h"
#include "sandbox/protocol/backend_client.h"
#include "sandbox/protocol/backend_server.h"
#include "sandbox/protocol/channel_test_util.h"
#include "sandbox/protocol/span_wire.h"
#include "sandbox/protocol/stream_channel.h"
#include "sandbox/protocol/unix_channel.h"

namespace catamaran {
namespace {

constexpr char kTraceparent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr int64_t kHour = 3600LL * 1'000'000'000;

// What a shim does: notes a step of its own, then asks the next.
class Between final : public ForwardingBackend {
 public:
  explicit Between(std::unique_ptr<SandboxBackend> next) : ForwardingBackend(std::move(next)) {}
  void CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                       Completion<pod::CreateContainerResponse> done) override {
    { const StepSpan step("log"); }
    next().CreateContainer(request, std::move(stdio), std::move(done));
  }
};

class TraceProtocolTest : public testing::Test {
 protected:
  std::unique_ptr<BackendClient> Connected(BackendServer& server) {
    auto [near, far] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
    EXPECT_TRUE(server.Serve(MakeUnixChannel(*loop_, std::move(far)).value()));
    auto client =
        std::make_unique<BackendClient>(*loop_, MakeUnixChannel(*loop_, std::move(near)).value());
    EXPECT_TRUE(client->Start([](const Error&) {}));
    bool greeted = false;
    client->Hello([&](const auto& hello) { greeted = hello.has_value(); });
    RunUntil(*loop_, [&] { return greeted; });
    return client;
  }
  void Create(BackendClient& client, const std::vector<std::string>& args) {
    pod::CreateContainerRequest request;
    request.mutable_container()->set_container_id("a");
    for (const auto& arg : args) request.mutable_container()->mutable_process()->add_args(arg);
    bool done = false;
    client.CreateContainer(request, {}, [&](const auto&) { done = true; });
    RunUntil(*loop_, [&] { return done; });
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  std::shared_ptr<Trace> trace_ = std::make_shared<Trace>(kTraceparent, 0x1000);
};

TEST_F(TraceProtocolTest, SpansOfTwoConnectionsInARowMakeOneTree) {
  FakeBackend engine(*loop_);
  BackendServer agent(*loop_, engine, {.build = "test", .name = "agent"});
  Between between(Connected(agent));
  BackendServer shim(*loop_, between, {.build = "test", .name = "shim"});
  const auto client = Connected(shim);
  bool ready = false;
  client->CreateSandbox({}, [&](const auto& made) { ready = made.has_value(); });
  RunUntil(*loop_, [&] { return ready; });
  {
    const SpanScope scope(Span(trace_, 0).Child("request"));
    Create(*client, {"sleep"});
  }
  Create(*client, {"not traced"});
  const auto spans = trace_->Take();
  ASSERT_EQ(spans.size(), 4u);
  const std::tuple<const char*, const char*, uint32_t> expected[] = {
      {"request", "", 0},
      {"CreateContainer", "shim", 1},
      {"log", "shim", 2},
      {"CreateContainer", "agent", 2}};
  for (size_t i = 0; i < spans.size(); ++i) {
    EXPECT_EQ(std::tie(spans[i].name, spans[i].by, spans[i].parent), expected[i]) << i;
    EXPECT_GE(spans[i].began_ns, spans[0].began_ns);
    EXPECT_LE(spans[i].ended_ns, spans[0].ended_ns);
    EXPECT_FALSE(spans[i].failed);
  }
}

TEST_F(TraceProtocolTest, AFailureBringsItsSpansToo) {
  FakeBackend engine(*loop_);
  BackendServer shim(*loop_, engine, {.build = "test", .name = "shim"});
  const auto client = Connected(shim);
  {
    const SpanScope scope(Span(trace_, 0).Child("request"));
    Create(*client, {"no sandbox"});
  }
  const auto spans = trace_->Take();
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_TRUE(spans[1].failed);
}

// The far end is the test.
class StrangeAnswersTest : public testing::Test {
 protected:
  void SetUp() override {
    auto [near, far] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
    peer_.channel = MakeUnixChannel(*loop_, std::move(far)).value();
    peer_.Start();
    client_ =
        std::make_unique<BackendClient>(*loop_, MakeUnixChannel(*loop_, std::move(near)).value());
    ASSERT_TRUE(client_->Start([](const Error&) {}));
  }
  pod::Request NextRequest() {
    RunUntil(*loop_, [&] { return !peer_.messages.empty(); });
    pod::Request request;
    EXPECT_TRUE(request.ParseFromString(peer_.messages[0].body));
    peer_.messages.clear();
    return request;
  }
  // What the trace has beside the request after such an answer.
  std::vector<SpanRecord> SpansAfter(const WireSpans& spans) {
    const auto trace = std::make_shared<Trace>(kTraceparent, 0x1000);
    const Span request_span = Span(trace, 0).Child("request");
    bool done = false;
    {
      const SpanScope scope(request_span);
      client_->Pause([&](const Status&) { done = true; });
    }
    pod::Response response;
    response.set_id(NextRequest().id());
    response.mutable_done();
    *response.mutable_spans() = spans;
    EXPECT_TRUE(
        peer_.channel->Send(MakeMessage(MessageType::kResponse, response.SerializeAsString()),
                            MessageChannel::Order::kUrgent));
    RunUntil(*loop_, [&] { return done; });
    request_span.End();
    auto taken = trace->Take();
    request_ = taken[0];
    taken.erase(taken.begin());
    return taken;
  }
  static void Add(WireSpans& spans, int64_t began, int64_t ended, uint32_t parent = 0) {
    pod::Span& span = *spans.Add();
    span.set_name("step");
    span.set_began_ns(began);
    span.set_ended_ns(ended);
    span.set_parent(parent);
  }
  static int64_t UnixNow() {
    return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  Recorder peer_;
  std::unique_ptr<BackendClient> client_;
  SpanRecord request_;
};

TEST_F(StrangeAnswersTest, ARequestBringsTheIdOfItsSpan) {
  const auto trace = std::make_shared<Trace>(kTraceparent, 0x1000);
  {
    const SpanScope scope(Span(trace, 0).Child("request"));
    client_->Pause([](const Status&) {});
  }
  EXPECT_EQ(NextRequest().traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000001001-01");
  client_->Pause([](const Status&) {});
  EXPECT_EQ(NextRequest().traceparent(), "");
}

TEST_F(StrangeAnswersTest, AClockThatIsOffPutsNothingOutsideOfTheRequest) {
  for (const int64_t off : {-kHour, kHour, -40 * 365 * 24 * kHour}) {
    WireSpans spans;
    const int64_t now = UnixNow() + off;
    Add(spans, now, now + 1000);
    Add(spans, now + 200, now + 300, 1);
    const auto got = SpansAfter(spans);
    ASSERT_EQ(got.size(), 2u);
    EXPECT_GE(got[0].began_ns, request_.began_ns);
    EXPECT_LE(got[0].ended_ns, request_.ended_ns);
    // How long they took and how they lie to one another is as it was.
    EXPECT_EQ(got[0].ended_ns - got[0].began_ns, 1000);
    EXPECT_EQ(got[1].began_ns - got[0].began_ns, 200);
    EXPECT_EQ(got[1].ended_ns - got[1].began_ns, 100);
  }
}

TEST_F(StrangeAnswersTest, AClockThatIsRightIsBelieved) {
  WireSpans spans;
  const auto trace = std::make_shared<Trace>(kTraceparent, 0x1000);
  const Span request = Span(trace, 0).Child("request");
  const int64_t sent = MonotonicNowNs() - kHour, began = UnixNow() - kHour / 4;
  Add(spans, began, began + 1000);
  AdoptSpans(spans, request, sent, MonotonicNowNs() + 1000);
  const auto got = trace->Take();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_NEAR(static_cast<double>(got[1].began_ns - sent), 0.75 * kHour, 1e9);
}

TEST_F(StrangeAnswersTest, NothingInThemIsTrusted) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  std::mt19937_64 random(20261129);
  for (int round = 0; round < 50; ++round) {
    WireSpans spans;
    const int64_t odd[] = {kMin, kMax, 0, -1, UnixNow(), static_cast<int64_t>(random())};
    for (int i = 0; i < 400; ++i) {
      Add(spans, odd[random() % 6], odd[random() % 6],
          random() % 3 == 0 ? random() : i + 1 - random() % 3);
      spans.rbegin()->set_name(std::string(200, static_cast<char>('\x01' + random() % 0x7e)));
      spans.rbegin()->set_by("\x1b[31m");
      for (int j = 0; j < 10; ++j)
        (*spans.rbegin()->mutable_details())["key\n" + std::to_string(j)] = std::string(200, '\t');
    }
    const auto got = SpansAfter(spans);
    ASSERT_EQ(got.size(), Trace::kMostSpans - 1);
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_GE(got[i].began_ns, request_.began_ns);
      ASSERT_LE(got[i].began_ns, got[i].ended_ns);
      ASSERT_LE(got[i].ended_ns, request_.ended_ns);
      ASSERT_GE(got[i].parent, 1u);
      ASSERT_LE(got[i].parent, i + 1);
      ASSERT_LE(got[i].name.size(), 64u);
      ASSERT_EQ(got[i].by, "?[31m");
      ASSERT_LE(got[i].details.size(), 8u);
      ASSERT_EQ(got[i].name.find_first_of("\n\t\x1b"), std::string::npos);
      ASSERT_EQ(got[i].details[0].second, std::string(128, '?'));
    }
  }
}

TEST(TraceProtocol, ATraceparentThatIsNoneIsNoTrace) {
  auto loop = EventLoop::Create().value();
  FakeBackend engine(*loop);
  BackendServer server(*loop, engine, {.build = "test", .name = "shim"});
  auto [near, far] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
  ASSERT_TRUE(server.Serve(MakeUnixChannel(*loop, std::move(far)).value()));
  Recorder client;
  client.channel = MakeUnixChannel(*loop, std::move(near)).value();
  client.Start();
  const auto ask = [&](pod::Request request) {
    client.messages.clear();
    EXPECT_TRUE(
        client.channel->Send(MakeMessage(MessageType::kRequest, request.SerializeAsString()),
                             MessageChannel::Order::kUrgent));
    RunUntil(*loop, [&] { return !client.messages.empty(); });
    pod::Response response;
    EXPECT_TRUE(response.ParseFromString(client.messages[0].body));
    return response;
  };
  pod::Request hello, list;
  hello.mutable_hello()->set_protocol_version(kPodProtocol);
  ask(hello);
  list.mutable_list();
  for (const std::string& wrong : {std::string("x"), std::string(kTraceparent) + "0",
                                   std::string("00-4bf92f3577b34da6a3ce929d0e0e4736-"
                                               "00f067aa0ba902b7-00")}) {
    list.set_traceparent(wrong);
    const auto response = ask(list);
    EXPECT_TRUE(response.has_list()) << wrong;
    EXPECT_EQ(response.spans_size(), 0) << wrong;
  }
  list.set_traceparent(kTraceparent);
  EXPECT_EQ(ask(list).spans_size(), 1);
}

}  // namespace
}  // namespace catamaran

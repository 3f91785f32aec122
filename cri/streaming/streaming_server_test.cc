// The whole server over loopback, with clients made of the codec and of Boost.Beast. Real clients
// try it in e2e/kubelet-client/streams_test.go.
#include "cri/streaming/streaming_server.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "cri/base/base64.h"
#include "cri/streaming/spdy_codec.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using Kind = StreamTicket::Kind;

// What the test sees of a process after it was given away.
struct ProcessFacts {
  std::atomic<bool> input_ended = false, client_gone = false;
  std::atomic<int> columns = 0;
};

// A "process" on a thread: copies its input to its output, or writes without end.
class FakeProcess final : public StreamedProcess {
 public:
  enum class What { kEcho, kFlood, kSilent };
  FakeProcess(What what, std::shared_ptr<ProcessFacts> facts, int exit_code = 0)
      : what_(what), facts_(std::move(facts)), exit_code_(exit_code) {}
  ~FakeProcess() override {
    if (thread_.joinable()) thread_.join();
  }

  Result<Ends> Open() override {
    ASSIGN_OR_RETURN(Pipe in, MakePipe());
    ASSIGN_OR_RETURN(Pipe out, MakePipe());
    ended_.Reset(eventfd(0, EFD_CLOEXEC));
    thread_ = std::thread([this, in = std::move(in.read_end), out = std::move(out.write_end)] {
      Run(in.get(), out.get());
      const uint64_t one = 1;
      EXPECT_EQ(write(ended_.get(), &one, sizeof one), 8);
    });
    Ends ends;
    ends.in = std::move(in.write_end);
    ends.out = std::move(out.read_end);
    return ends;
  }
  Status Resize(uint16_t columns, uint16_t) override {
    facts_->columns = columns;
    return {};
  }
  void OnInputEnd() override { facts_->input_ended = true; }
  void OnClientGone() override { facts_->client_gone = true; }
  int ended_fd() const override { return ended_.get(); }
  Result<int> ExitCode() override { return exit_code_; }

 private:
  void Run(int in, int out) const {
    char buffer[4096] = {};
    if (what_ == What::kFlood) {
      for (int i = 0; i < 4096; ++i)
        if (!WriteAll(out, {buffer, sizeof buffer})) return;
      return;
    }
    for (;;) {
      const ssize_t count = read(in, buffer, sizeof buffer);
      if (count <= 0) return;
      if (what_ == What::kEcho && !WriteAll(out, {buffer, static_cast<size_t>(count)})) return;
    }
  }
  const What what_;
  const std::shared_ptr<ProcessFacts> facts_;
  const int exit_code_;
  UniqueFd ended_;
  std::thread thread_;
};

class FailingProcess final : public StreamedProcess {
 public:
  Result<Ends> Open() override { return Fail(ErrorCode::kNotFound, "no such program"); }
  Status Resize(uint16_t, uint16_t) override { return {}; }
  void OnInputEnd() override {}
  void OnClientGone() override {}
  int ended_fd() const override { return -1; }
  Result<int> ExitCode() override { return 0; }
};

// Port 1 refuses; every other one answers each connection with what it gets.
class FakePorts final : public PortTarget {
 public:
  ~FakePorts() override {
    for (auto& thread : threads_) thread.join();
  }
  Result<UniqueFd> Dial(uint16_t port) override {
    if (port == 1) return Fail(ErrorCode::kUnavailable, "connection refused");
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    threads_.emplace_back([server = UniqueFd(pair[1])] {
      char buffer[4096];
      ssize_t count;
      while ((count = read(server.get(), buffer, sizeof buffer)) > 0)
        if (!WriteAll(server.get(), {buffer, static_cast<size_t>(count)})) return;
    });
    return UniqueFd(pair[0]);
  }

 private:
  std::vector<std::thread> threads_;
};

struct Url {
  uint16_t port;
  std::string path;
};
Url Split(const std::string& url) {
  const size_t colon = url.rfind(':'), slash = url.find('/', colon);
  return {static_cast<uint16_t>(std::stoi(url.substr(colon + 1))), url.substr(slash)};
}

// A client with its answer's head read.
class HttpClient {
 public:
  HttpClient(const std::string& url, const std::string& method, const std::string& headers) {
    const Url parts = Split(url);
    socket_.connect({asio::ip::address_v4::loopback(), parts.port});
    asio::write(socket_, asio::buffer(method + " " + parts.path +
                                      " HTTP/1.1\r\nHost: whatever\r\n" + headers + "\r\n"));
    std::string head;
    char c;
    while (!head.ends_with("\r\n\r\n") && asio::read(socket_, asio::buffer(&c, 1), error_) == 1)
      head.push_back(c);
    head_ = head;
  }
  int status() const { return head_.size() < 12 ? 0 : std::stoi(head_.substr(9, 3)); }
  const std::string& head() const { return head_; }
  tcp::socket& socket() { return socket_; }

 protected:
  asio::io_context io_;
  tcp::socket socket_{io_};
  error_code error_;
  std::string head_;
};

std::string UpgradeHeaders(const std::string& version) {
  return "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n"
         "X-Stream-Protocol-Version: " +
         version + "\r\n";
}

class SpdyClient : public HttpClient {
 public:
  SpdyClient(const std::string& url, const std::string& version)
      : HttpClient(url, "POST", UpgradeHeaders(version)) {}

  uint32_t Open(const SpdyHeaders& headers) {
    const uint32_t stream = next_;
    next_ += 2;
    std::string out;
    encoder_.SynStream(stream, headers, &out);
    asio::write(socket_, asio::buffer(out), error_);  // the server may have closed by now
    ReadUntil([&] { return replied.contains(stream) || reset.contains(stream); });
    return stream;
  }
  void Send(uint32_t stream, std::string_view bytes, bool end = false) {
    std::string out;
    encoder_.Data(stream, bytes, end, &out);
    asio::write(socket_, asio::buffer(out), error_);
  }
  void Ping(uint32_t id) {
    std::string out;
    encoder_.Ping(id, &out);
    asio::write(socket_, asio::buffer(out));
    ReadUntil([&] { return pings.contains(id); });
  }
  // Reads until the condition holds or the server has closed.
  template <typename Condition>
  void ReadUntil(Condition condition) {
    char buffer[65536];
    while (!condition()) {
      const size_t count = socket_.read_some(asio::buffer(buffer), error_);
      if (error_) return;
      ASSERT_TRUE(decoder_.Decode({buffer, count}, [this](const SpdyFrame& frame) {
        using Type = SpdyFrame::Type;
        if (frame.type == Type::kData) data[frame.stream] += frame.data;
        if (frame.type == Type::kData && frame.end) ended.insert(frame.stream);
        if (frame.type == Type::kSynReply) replied.insert(frame.stream);
        if (frame.type == Type::kReset) reset.insert(frame.stream);
        if (frame.type == Type::kPing) pings.insert(frame.value);
        goes_away |= frame.type == Type::kGoAway;
      }));
    }
  }
  void ReadToEnd() {
    ReadUntil([] { return false; });
  }

  std::map<uint32_t, std::string> data;
  std::set<uint32_t> ended, replied, reset, pings;
  bool goes_away = false;

 private:
  SpdyEncoder encoder_;
  SpdyDecoder decoder_;
  uint32_t next_ = 1;
};

class StreamingServerTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }
  void Start(const StreamingServer::Options& options) {
    auto server = StreamingServer::Start(options);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  std::string Offer(std::unique_ptr<StreamedProcess> process, bool terminal = false) {
    StreamTicket ticket;
    ticket.wants = {.in = true, .out = true, .err = false, .terminal = terminal};
    ticket.process = std::move(process);
    return *server_->Offer(std::move(ticket));
  }
  std::string OfferEcho(int exit_code = 0, bool terminal = false) {
    return Offer(std::make_unique<FakeProcess>(FakeProcess::What::kEcho, facts_, exit_code),
                 terminal);
  }
  std::string OfferPorts(std::vector<uint16_t> ports = {}) {
    StreamTicket ticket;
    ticket.kind = Kind::kPortForward;
    ticket.ports = std::move(ports);
    ticket.target = std::make_unique<FakePorts>();
    return *server_->Offer(std::move(ticket));
  }
  static void OpenAll(SpdyClient& client) {
    EXPECT_EQ(client.status(), 101) << client.head();
    EXPECT_EQ(client.Open({{"streamtype", "error"}}), 1u);
    EXPECT_EQ(client.Open({{"streamtype", "stdin"}}), 3u);
    EXPECT_EQ(client.Open({{"streamtype", "stdout"}}), 5u);
  }
  // One whole session; the status document.
  std::string Echo(const std::string& version, int exit_code) {
    SpdyClient client(OfferEcho(exit_code), version);
    OpenAll(client);
    client.Send(3, "hello");
    client.ReadUntil([&] { return client.data[5] == "hello"; });
    client.Send(3, "", true);
    client.ReadToEnd();
    EXPECT_EQ(client.data[5], "hello");
    EXPECT_TRUE(client.ended.contains(5) && client.ended.contains(1));
    EXPECT_TRUE(client.goes_away);
    return client.data[1];
  }
  bool Wait(const std::function<bool()>& condition) {
    for (int i = 0; i < 3000 && !condition(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return condition();
  }

  std::unique_ptr<StreamingServer> server_;
  std::shared_ptr<ProcessFacts> facts_ = std::make_shared<ProcessFacts>();
};

TEST_F(StreamingServerTest, CarriesAProcessOverSpdy) {
  EXPECT_EQ(nlohmann::json::parse(Echo("v4.channel.k8s.io", 0))["status"], "Success");
  EXPECT_TRUE(facts_->input_ended);
  EXPECT_EQ(nlohmann::json::parse(Echo("v4.channel.k8s.io", 7))["reason"], "NonZeroExitCode");
  EXPECT_EQ(Echo("v3.channel.k8s.io", 0), "");
  EXPECT_NE(Echo("v2.channel.k8s.io", 7).find("exit status 7"), std::string::npos);
  EXPECT_EQ(Echo("channel.k8s.io", 0), "");
}

TEST_F(StreamingServerTest, TellsWhyAProcessCannotStart) {
  SpdyClient client(Offer(std::make_unique<FailingProcess>()), "v4.channel.k8s.io");
  OpenAll(client);
  client.ReadToEnd();
  const auto status = nlohmann::json::parse(client.data[1]);
  EXPECT_EQ(status["reason"], "InternalError");
  EXPECT_NE(status["message"].get<std::string>().find("no such program"), std::string::npos);
}

TEST_F(StreamingServerTest, AnswersPingsAndResizes) {
  SpdyClient client(OfferEcho(0, true), "v4.channel.k8s.io");
  OpenAll(client);
  client.Ping(1);
  client.Send(client.Open({{"streamtype", "resize"}}), "{\"Width\":99,\"Height\":24}\n");
  EXPECT_TRUE(Wait([&] { return facts_->columns == 99; }));
  client.Ping(3);
  client.Send(3, "", true);
  client.ReadToEnd();
}

TEST_F(StreamingServerTest, RefusesStreamsThatNobodyOpensLikeThat) {
  SpdyClient client(OfferEcho(), "v4.channel.k8s.io");
  EXPECT_EQ(client.Open({}), 1u);
  EXPECT_TRUE(client.reset.contains(1));
  EXPECT_EQ(client.Open({{"streamtype", "error"}}), 3u);
  EXPECT_EQ(client.Open({{"streamtype", "error"}}), 5u);
  EXPECT_TRUE(client.replied.contains(3));
  EXPECT_TRUE(client.reset.contains(5));
}

TEST_F(StreamingServerTest, AUrlIsGoodOnceAndForItsOwnKind) {
  const std::string url = OfferEcho();
  const std::string spdy = UpgradeHeaders("v4.channel.k8s.io");
  EXPECT_EQ(HttpClient(url + "0", "POST", spdy).status(), 404);
  EXPECT_EQ(HttpClient(url, "DELETE", spdy).status(), 405);
  EXPECT_EQ(HttpClient(url + "?command=rm", "POST", UpgradeHeaders("v9")).status(), 403);
  EXPECT_EQ(HttpClient(url, "POST", spdy).status(), 404);
  EXPECT_EQ(HttpClient(OfferEcho(), "GET", "").status(), 400);
  EXPECT_EQ(HttpClient(OfferEcho(), "\x01\x02", spdy).status(), 400);
  const HttpClient refused(OfferEcho(), "POST", UpgradeHeaders("v9"));
  EXPECT_NE(refused.head().find("X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io"),
            std::string::npos)
      << refused.head();
}

TEST_F(StreamingServerTest, AClientThatDoesNotReadHoldsUpNobodyElse) {
  SpdyClient stalled(Offer(std::make_unique<FakeProcess>(FakeProcess::What::kFlood, facts_)),
                     "v4.channel.k8s.io");
  OpenAll(stalled);
  for (int i = 0; i < 3; ++i) Echo("v4.channel.k8s.io", 0);
  stalled.ReadToEnd();
  EXPECT_EQ(stalled.data[5].size(), 4096u * 4096);
}

TEST_F(StreamingServerTest, AProcessWhoseClientLeftGoesOnToItsEnd) {
  {
    SpdyClient client(Offer(std::make_unique<FakeProcess>(FakeProcess::What::kFlood, facts_)),
                      "v4.channel.k8s.io");
    OpenAll(client);
    client.ReadUntil([&] { return !client.data[5].empty(); });
  }
  EXPECT_TRUE(Wait([&] { return facts_->client_gone.load(); }));
  // The session and its process end: nobody but this test holds the facts.
  EXPECT_TRUE(Wait([&] { return facts_.use_count() == 1; }));
}

TEST_F(StreamingServerTest, ManySessionsLeaveNothingBehind) {
  const auto count = [](const char* folder) {
    return std::distance(std::filesystem::directory_iterator(folder), {});
  };
  for (int i = 0; i < 20; ++i) Echo("v4.channel.k8s.io", 0);
  const auto descriptors = count("/proc/self/fd"), threads = count("/proc/self/task");
  for (int i = 0; i < 500; ++i) Echo("v4.channel.k8s.io", 0);
  // A session's thread ends some time after its client has seen the end.
  EXPECT_TRUE(Wait([&] { return count("/proc/self/fd") <= descriptors + 16; }))
      << count("/proc/self/fd") << " descriptors, " << descriptors << " before";
  EXPECT_TRUE(Wait([&] { return count("/proc/self/task") <= threads + 4; }))
      << count("/proc/self/task") << " threads, " << threads << " before";
}

TEST_F(StreamingServerTest, EndsAClientThatIsIdle) {
  Start({.idle = std::chrono::seconds(1)});
  SpdyClient client(Offer(std::make_unique<FakeProcess>(FakeProcess::What::kSilent, facts_)),
                    "v4.channel.k8s.io");
  OpenAll(client);
  client.ReadToEnd();
  EXPECT_FALSE(client.goes_away);
}

TEST_F(StreamingServerTest, EndsWithItsClients) {
  SpdyClient client(Offer(std::make_unique<FakeProcess>(FakeProcess::What::kSilent, facts_)),
                    "v4.channel.k8s.io");
  OpenAll(client);
  server_.reset();
  client.ReadToEnd();
}

TEST_F(StreamingServerTest, ForwardsPortsAndTellsOfOneThatIsClosed) {
  SpdyClient client(OfferPorts(), "portforward.k8s.io");
  ASSERT_EQ(client.status(), 101) << client.head();
  for (const char* id : {"0", "1"}) {
    const auto error = client.Open({{"streamtype", "error"}, {"port", "80"}, {"requestid", id}});
    client.Send(error, "", true);
    const auto data = client.Open({{"streamtype", "data"}, {"port", "80"}, {"requestid", id}});
    client.Send(data, "ping", true);
    client.ReadUntil([&] { return client.ended.contains(data) && client.ended.contains(error); });
    EXPECT_EQ(client.data[data], "ping");
    EXPECT_EQ(client.data[error], "");
    // One that is refused leaves the others alone.
    const auto refused =
        client.Open({{"streamtype", "error"}, {"port", "1"}, {"requestid", std::string(id) + "x"}});
    const auto nothing =
        client.Open({{"streamtype", "data"}, {"port", "1"}, {"requestid", std::string(id) + "x"}});
    client.ReadUntil([&] { return client.reset.contains(nothing); });
    EXPECT_NE(client.data[refused].find("connection refused"), std::string::npos);
  }
  for (const char* port : {"0", "65536", "x", "80 ", ""})
    EXPECT_TRUE(client.reset.contains(client.Open({{"streamtype", "data"}, {"port", port}})))
        << port;
}

// Both directions at once, of more than all buffers hold: the server pauses its reading again and
// again.
TEST_F(StreamingServerTest, ForwardsAFloodBothWaysByteForByte) {
  SpdyClient client(OfferPorts(), "portforward.k8s.io");
  const auto error = client.Open({{"streamtype", "error"}, {"port", "80"}, {"requestid", "0"}});
  const auto data = client.Open({{"streamtype", "data"}, {"port", "80"}, {"requestid", "0"}});
  std::string sent;
  for (int i = 0; sent.size() < (4u << 20); ++i) sent += fmt::format("{:07}\n", i);
  std::thread writer([&] {
    for (size_t at = 0; at < sent.size(); at += 32768)
      client.Send(data, std::string_view(sent).substr(at, 32768));
    client.Send(data, "", true);
  });
  client.ReadUntil([&] { return client.ended.contains(error); });
  writer.join();
  EXPECT_TRUE(client.data[data] == sent) << client.data[data].size() << " of " << sent.size();
}

// A WebSocket client that reads messages.
class WebClient {
 public:
  WebClient(const std::string& url, const std::string& protocol)
      : text_(protocol.find("base64") != std::string::npos) {
    const Url parts = Split(url);
    socket_.next_layer().connect({asio::ip::address_v4::loopback(), parts.port});
    socket_.set_option(beast::websocket::stream_base::decorator(
        [protocol](beast::websocket::request_type& request) {
          if (!protocol.empty()) request.set(beast::http::field::sec_websocket_protocol, protocol);
        }));
    beast::websocket::response_type answer;
    socket_.handshake(answer, "localhost", parts.path, error_);
    chosen_ = std::string(answer[beast::http::field::sec_websocket_protocol]);
    socket_.text(text_);
  }
  void Send(int channel, const std::string& bytes) {
    std::string message(1, static_cast<char>(text_ ? '0' + channel : channel));
    message += text_ ? EncodeBase64(bytes) : bytes;
    socket_.write(asio::buffer(message), error_);
  }
  void SendRaw(const std::string& message) { socket_.write(asio::buffer(message), error_); }
  // False where the server has closed.
  bool ReadOne() {
    beast::flat_buffer buffer;
    socket_.read(buffer, error_);
    if (error_) return false;
    const std::string message = beast::buffers_to_string(buffer.data());
    const int channel = text_ ? message[0] - '0' : static_cast<unsigned char>(message[0]);
    first.try_emplace(channel, message.substr(1));
    data[channel] += text_ ? *DecodeBase64(message.substr(1)) : message.substr(1);
    return true;
  }
  int CloseCode() {
    while (ReadOne()) {
    }
    return error_ == beast::websocket::error::closed ? socket_.reason().code : -1;
  }
  std::map<int, std::string> data, first;
  std::string chosen() const { return chosen_; }
  bool failed() const { return static_cast<bool>(error_); }

 private:
  const bool text_;
  asio::io_context io_;
  beast::websocket::stream<tcp::socket> socket_{io_};
  error_code error_;
  std::string chosen_;
};

TEST_F(StreamingServerTest, CarriesAProcessOverWebSocket) {
  for (const std::string protocol :
       {"v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io",
        "base64.channel.k8s.io", ""}) {
    SCOPED_TRACE(protocol);
    // Only v5 can end the input; before it the program must end by itself.
    const bool half_closes = protocol.starts_with("v5");
    auto what = half_closes ? FakeProcess::What::kEcho : FakeProcess::What::kFlood;
    WebClient client(Offer(std::make_unique<FakeProcess>(what, facts_, 3)), protocol);
    ASSERT_FALSE(client.failed());
    EXPECT_EQ(client.chosen(), protocol);
    if (half_closes) {
      client.Send(0, "hello");
      while (client.data[1].size() < 5 && client.ReadOne()) {
      }
      client.SendRaw(std::string("\xff\x00", 2));
    }
    EXPECT_EQ(client.CloseCode(), 1000);
    EXPECT_EQ(client.first[1], "");  // the greeting
    EXPECT_EQ(client.data[1], half_closes ? "hello" : std::string(size_t{4096} * 4096, '\0'));
    const bool json = protocol.starts_with("v");
    EXPECT_EQ(client.data[3].starts_with("{"), json) << client.data[3];
    EXPECT_NE(client.data[3].find(json ? "NonZeroExitCode" : "exit status 3"), std::string::npos);
  }
}

TEST_F(StreamingServerTest, ForwardsNumberedPortsOverWebSocket) {
  WebClient client(OfferPorts({80, 1}), "v4.base64.channel.k8s.io");
  ASSERT_FALSE(client.failed());
  client.Send(0, "ping");
  while (client.data[0].size() < 6 && client.ReadOne()) {
  }
  EXPECT_EQ(client.data[0], std::string("P\0ping", 6));
  while (client.data[3].size() < 3 && client.ReadOne()) {
  }
  EXPECT_EQ(client.data[3].substr(0, 2), std::string("\x01\0", 2));
  EXPECT_NE(client.data[3].find("connection refused"), std::string::npos);
}

TEST_F(StreamingServerTest, RefusesAWebSocketWithoutACommonProtocol) {
  EXPECT_TRUE(WebClient(OfferEcho(), "chat").failed());
  EXPECT_TRUE(WebClient(OfferPorts({80}), "v5.channel.k8s.io").failed());
}

TEST(StreamingServerStart, SaysWhatIsWrongWithAnAddress) {
  EXPECT_EQ(StreamingServer::Start({.address = "localhost"}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(StreamingServer::Start({.address = "203.0.113.1"}).error().code,
            ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace catamaran

#pragma once

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "cri/streaming/spdy_codec.h"
#include "cri/streaming/streaming_server.h"
#include "sandbox/base/files.h"

namespace catamaran {

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

// A process that was attached to: it says nothing and stays until the test has no more use for it.
class AttachedProcess final : public StreamedProcess {
 public:
  Result<Ends> Open() override {
    ASSIGN_OR_RETURN(Pipe out, MakePipe());
    Ends ends;
    ends.out = std::move(out.read_end);
    silent_ = std::move(out.write_end);
    return ends;
  }
  Status Resize(uint16_t, uint16_t) override { return {}; }
  void OnInputEnd() override {}
  void OnClientGone() override {}
  int ended_fd() const override { return -1; }
  Result<int> ExitCode() override { return 0; }

 private:
  UniqueFd silent_;
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
inline Url Split(const std::string& url) {
  const size_t colon = url.rfind(':'), slash = url.find('/', colon);
  return {static_cast<uint16_t>(std::stoi(url.substr(colon + 1))), url.substr(slash)};
}

// A client with its answer's head read.
class HttpClient {
 public:
  HttpClient(const std::string& url, const std::string& method, const std::string& headers) {
    const Url parts = Split(url);
    socket_.connect({boost::asio::ip::address_v4::loopback(), parts.port});
    boost::asio::write(
        socket_, boost::asio::buffer(method + " " + parts.path + " HTTP/1.1\r\nHost: whatever\r\n" +
                                     headers + "\r\n"));
    std::string head;
    char c;
    while (!head.ends_with("\r\n\r\n") &&
           boost::asio::read(socket_, boost::asio::buffer(&c, 1), error_) == 1)
      head.push_back(c);
    head_ = head;
  }
  int status() const { return head_.size() < 12 ? 0 : std::stoi(head_.substr(9, 3)); }
  const std::string& head() const { return head_; }
  boost::asio::ip::tcp::socket& socket() { return socket_; }

 protected:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_{io_};
  boost::system::error_code error_;
  std::string head_;
};

inline std::string UpgradeHeaders(const std::string& version) {
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
    boost::asio::write(socket_, boost::asio::buffer(out),
                       error_);  // the server may have closed by now
    ReadUntil([&] { return replied.contains(stream) || reset.contains(stream); });
    return stream;
  }
  void Send(uint32_t stream, std::string_view bytes, bool end = false) {
    std::string out;
    encoder_.Data(stream, bytes, end, &out);
    boost::asio::write(socket_, boost::asio::buffer(out), error_);
  }
  void Ping(uint32_t id) {
    std::string out;
    encoder_.Ping(id, &out);
    boost::asio::write(socket_, boost::asio::buffer(out));
    ReadUntil([&] { return pings.contains(id); });
  }
  // Reads until the condition holds or the server has closed.
  template <typename Condition>
  void ReadUntil(Condition condition) {
    char buffer[65536];
    while (!condition()) {
      const size_t count = socket_.read_some(boost::asio::buffer(buffer), error_);
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

// A server on loopback and what it is given.
class StreamingLab : public ::testing::Test {
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
    ticket.kind = StreamTicket::Kind::kPortForward;
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

}  // namespace catamaran

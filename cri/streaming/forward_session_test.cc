// A session between a connection and ports that the test plays, one event at a time: what several
// events that become ready together do to one another.
#include "cri/streaming/forward_session.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>

namespace catamaran {
namespace {

constexpr uint32_t kError = 1, kData = 3;

class RecordingConnection final : public StreamConnection {
 public:
  void Start(Listener&) override {}
  void Send(uint32_t stream, std::string_view bytes) override { sent[stream] += bytes; }
  void End(uint32_t stream) override { said += fmt::format("end {}\n", stream); }
  void Reset(uint32_t stream) override { said += fmt::format("reset {}\n", stream); }
  bool HasRoom() const override { return true; }
  void PauseReading(bool) override {}
  void Finish() override { said += "finish\n"; }
  void Abort() override { said += "abort\n"; }
  Clock::time_point last_activity() const override { return Clock::now(); }

  std::map<uint32_t, std::string> sent;
  std::string said;
};

// Every connection's other end is kept for the test.
class KeptPorts final : public PortTarget {
 public:
  Result<UniqueFd> Dial(uint16_t) override {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
      return FailWithErrno("socketpair");
    servers.emplace_back(pair[1]);
    return UniqueFd(pair[0]);
  }
  std::vector<UniqueFd> servers;
};

class ForwardSessionTest : public ::testing::Test {
 protected:
  void OpenPair(uint32_t error = kError, uint32_t data = kData, const std::string& id = "0") {
    EXPECT_TRUE(session_.OnOpen(error, Headers("error", id)));
    EXPECT_TRUE(session_.OnOpen(data, Headers("data", id)));
    Settle();
  }
  static StreamConnection::Headers Headers(const std::string& type, const std::string& id) {
    return {{"streamtype", type}, {"port", "80"}, {"requestid", id}};
  }
  void Settle() {
    io_.restart();
    while (io_.poll() > 0) {
    }
  }
  // `first` runs right before the server's end is seen: both are of one look at what is ready,
  // where an event is told in the order in which it came about.
  void TogetherWithTheServersEnd(const std::function<void()>& first) {
    boost::asio::posix::stream_descriptor bell(io_, eventfd(0, EFD_CLOEXEC));
    bell.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [&](boost::system::error_code) { first(); });
    Settle();
    ASSERT_EQ(eventfd_write(bell.native_handle(), 1), 0);
    ports_.servers.front().Reset();
    Settle();
  }

  boost::asio::io_context io_;
  RecordingConnection connection_;
  KeptPorts ports_;
  ForwardSession session_{io_, connection_, ports_, 0, [] {}};
};

TEST_F(ForwardSessionTest, APairThatIsResetWhileItsServerEndsIsGone) {
  OpenPair();
  TogetherWithTheServersEnd([&] { session_.OnReset(kData); });
  EXPECT_EQ(connection_.said, "");
}

TEST_F(ForwardSessionTest, TheServersEndOfAResetPairDoesNotEndTheNextOfItsName) {
  OpenPair();
  TogetherWithTheServersEnd([&] {
    session_.OnReset(kData);
    EXPECT_TRUE(session_.OnOpen(5, Headers("error", "0")));
    EXPECT_TRUE(session_.OnOpen(7, Headers("data", "0")));
  });
  EXPECT_EQ(connection_.said, "");
  ASSERT_EQ(ports_.servers.size(), 2u);
  ASSERT_EQ(write(ports_.servers[1].get(), "pong", 4), 4);
  Settle();
  EXPECT_EQ(connection_.sent[7], "pong");
}

TEST_F(ForwardSessionTest, BothEndsAtOnceEndThePairOnce) {
  OpenPair();
  TogetherWithTheServersEnd([&] { session_.OnEnd(kData); });
  EXPECT_EQ(connection_.said, "end 3\nend 1\n");
  connection_.said.clear();
  session_.OnReset(kData);
  Settle();
  EXPECT_EQ(connection_.said, "");
}

// The server's end is seen while its bytes go out, on the same call's stack.
TEST_F(ForwardSessionTest, WhatAServerSaidBeforeItsEndIsSent) {
  OpenPair();
  ASSERT_EQ(write(ports_.servers[0].get(), "last words", 10), 10);
  TogetherWithTheServersEnd([&] { session_.OnEnd(kData); });
  EXPECT_EQ(connection_.sent[kData], "last words");
  EXPECT_EQ(connection_.said, "end 3\nend 1\n");
}

TEST_F(ForwardSessionTest, APairIsResetBeforeItIsDialled) {
  EXPECT_TRUE(session_.OnOpen(kError, Headers("error", "0")));
  EXPECT_TRUE(session_.OnOpen(kData, Headers("data", "0")));
  session_.OnReset(kData);
  Settle();
  EXPECT_TRUE(ports_.servers.empty());
  EXPECT_EQ(connection_.said, "");
}

}  // namespace
}  // namespace catamaran

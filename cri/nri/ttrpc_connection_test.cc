#include "cri/nri/ttrpc_connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>

#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using Serve =
    std::function<Result<std::string>(const std::string&, const std::string&, const std::string&)>;

Result<std::string> Echo(const std::string&, const std::string& method, const std::string& text) {
  if (method == "Refuse") return Fail(ErrorCode::kFailedPrecondition, "no: {}", text);
  return text;
}

struct Pair {
  explicit Pair(Serve runtime = Echo, Serve plugin = Echo) {
    auto sockets = MakeSocketPair(SOCK_STREAM);
    EXPECT_TRUE(sockets);
    ours = std::make_unique<TtrpcConnection>(std::move(sockets->ours),
                                             TtrpcConnection::Options{.serve = std::move(runtime)});
    theirs = std::make_unique<TtrpcConnection>(
        std::move(sockets->theirs), TtrpcConnection::Options{.calls_on = kRuntimeConnection,
                                                             .serves_on = kPluginConnection,
                                                             .serve = std::move(plugin)});
    ours->Start();
    theirs->Start();
  }
  std::unique_ptr<TtrpcConnection> ours, theirs;
};

Deadline Soon() { return Deadline::After(seconds(20)); }

TEST(TtrpcConnection, BothEndsCallAndServe) {
  Pair pair;
  auto answer = pair.ours->Call("s", "Say", "hello", Soon());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->payload, "hello");
  EXPECT_FALSE(answer->refused);
  answer = pair.theirs->Call("s", "Say", std::string(3 << 20, 'x'), Soon());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->payload.size(), size_t{3 << 20});
}

TEST(TtrpcConnection, ARefusalIsAnAnswer) {
  Pair pair;
  const auto answer = pair.ours->Call("s", "Refuse", "it", Soon());
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->refused);
  EXPECT_EQ(answer->code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(answer->message, "no: it");
}

TEST(TtrpcConnection, CallsWhileItServesOne) {
  Pair* pair = nullptr;
  Pair both(Echo, [&](const auto&, const auto&, const std::string& text) -> Result<std::string> {
    auto inner = pair->theirs->Call("s", "Say", "inner " + text, Soon());
    if (!inner) return tl::unexpected(inner.error());
    return inner->payload;
  });
  pair = &both;
  const auto answer = both.ours->Call("s", "Say", "x", Soon());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->payload, "inner x");
}

TEST(TtrpcConnection, WhoDoesNotAnswerInTimeIsGivenUp) {
  std::atomic<bool> go = false;
  Pair pair(Echo, [&](const auto&, const auto&, const std::string& text) -> Result<std::string> {
    while (!go) std::this_thread::sleep_for(milliseconds(1));
    return text;
  });
  const auto late = pair.ours->Call("s", "Say", "late", Deadline::After(milliseconds(50)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kDeadlineExceeded);
  go = true;
  // The answer that comes after all is nobody's.
  const auto answer = pair.ours->Call("s", "Say", "next", Soon());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->payload, "next");
}

TEST(TtrpcConnection, APeerThatGoesEndsCalls) {
  std::atomic<bool> called = false;
  Pair pair(Echo, [&](const auto&, const auto&, const auto&) -> Result<std::string> {
    called = true;
    while (!pair.theirs->closed()) std::this_thread::sleep_for(milliseconds(1));
    return std::string();
  });
  std::thread closer([&] {
    while (!called) std::this_thread::sleep_for(milliseconds(1));
    pair.theirs->Close();
  });
  const auto answer = pair.ours->Call("s", "Say", "x", Soon());
  closer.join();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
}

TEST(TtrpcConnection, APeerThatReadsNothingHoldsUpNobodyForLong) {
  auto sockets = MakeSocketPair(SOCK_STREAM);
  ASSERT_TRUE(sockets);
  TtrpcConnection connection(std::move(sockets->ours), {.serve = Echo});
  connection.Start();
  const auto answer = connection.Call("s", "Say", std::string(4 << 20 >> 1, 'x'),
                                      Deadline::After(milliseconds(100)));
  ASSERT_FALSE(answer);
  EXPECT_TRUE(connection.closed());
}

TEST(TtrpcConnection, APeerThatBreaksTheProtocolIsCutOff) {
  for (const std::string& bytes : {std::string("\0\0\0\1\xff\xff\xff\xff", 8),
                                   std::string("\0\0\0\2\0\0\0\12\x7f\0\0\0\0\0\0\1\1\0", 18)}) {
    auto sockets = MakeSocketPair(SOCK_STREAM);
    ASSERT_TRUE(sockets);
    std::atomic<bool> closed = false;
    TtrpcConnection connection(std::move(sockets->ours),
                               {.serve = Echo, .on_closed = [&] { closed = true; }});
    connection.Start();
    ASSERT_EQ(send(sockets->theirs.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
    char byte;
    EXPECT_EQ(recv(sockets->theirs.get(), &byte, 1, 0), 0);
    while (!closed) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_NE(connection.reason(), "");
  }
}

TEST(TtrpcConnection, APeerThatOnlyCallsIsCutOff) {
  std::atomic<bool> go = false;
  auto sockets = MakeSocketPair(SOCK_STREAM);
  ASSERT_TRUE(sockets);
  TtrpcConnection connection(
      std::move(sockets->ours),
      {.serve = [&](const auto&, const auto&, const auto&) -> Result<std::string> {
        while (!go) std::this_thread::sleep_for(milliseconds(1));
        return std::string();
      }});
  connection.Start();
  std::string many;
  for (uint32_t stream = 1; stream < 400; stream += 2)
    many += *EncodeTtrpcMessage({kRuntimeConnection, stream, kTtrpcRequest, 0, ""});
  (void)send(sockets->theirs.get(), many.data(), many.size(), MSG_NOSIGNAL);
  char byte;
  EXPECT_LE(recv(sockets->theirs.get(), &byte, 1, 0), 0);
  go = true;
}

}  // namespace
}  // namespace catamaran

#include "sandbox/protocol/stream_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/protocol/channel_test_util.h"
#include "sandbox/protocol/frame.h"

namespace catamaran {
namespace {

using Role = StreamChannelOptions::Role;
using AtEnd = StreamChannelOptions::AtEnd;
using std::chrono::milliseconds;

std::unique_ptr<MessageChannel> Make(EventLoop& loop, UniqueFd fd, Role role,
                                     AtEnd at_end = AtEnd::kClosed, ChannelLimits limits = {}) {
  return MakeStreamChannel(loop, std::move(fd), {role, at_end, limits}).value();
}

class StreamChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    auto [host, guest] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
    host_fd_ = std::move(host);
    server_.channel = Make(*loop_, std::move(guest), Role::kServer, AtEnd::kPeerMayReturn, limits_);
    server_.Start();
  }
  void Connect() {
    client_.channel = Make(*loop_, UniqueFd(fcntl(host_fd_.get(), F_DUPFD_CLOEXEC, 0)),
                           Role::kClient, AtEnd::kClosed, limits_);
    client_.Start();
    const int before = client_.sessions;
    RunUntil(
        *loop_, [&] { return client_.sessions == before + 1; }, "a session");
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  ChannelLimits limits_{.max_message = 1 << 20, .max_queued = 2 << 20, .bulk_room = 64 << 10};
  UniqueFd host_fd_;
  Recorder client_, server_;
};

TEST_F(StreamChannelTest, CarriesMessagesOfEverySizeBothWays) {
  Connect();
  const std::vector<size_t> sizes = {0,      1, kMaxFrameBody - 1, kMaxFrameBody, kMaxFrameBody + 1,
                                     1 << 20};
  for (const size_t size : sizes) {
    ASSERT_TRUE(client_.channel->Send(MakeMessage(MessageType::kRequest, std::string(size, 'q'))));
    RunUntil(*loop_, [&] { return !server_.messages.empty(); });
    EXPECT_EQ(server_.messages[0].body, std::string(size, 'q'));
    ASSERT_TRUE(server_.channel->Send(std::move(server_.messages[0])));
    server_.messages.clear();
    RunUntil(*loop_, [&] { return !client_.messages.empty(); });
    EXPECT_EQ(client_.messages[0].body.size(), size);
    client_.messages.clear();
  }
}

TEST_F(StreamChannelTest, UrgentMessagesOvertakeBulkOnes) {
  Connect();
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(client_.channel->Send(MakeMessage(MessageType::kData, std::string(30000, 'd'), 1),
                                      MessageChannel::Order::kBulk));
  }
  EXPECT_FALSE(client_.channel->HasRoom());
  ASSERT_TRUE(client_.channel->Send(MakeMessage(MessageType::kRequest, std::string(100'000, 'u'))));
  RunUntil(*loop_, [&] { return server_.messages.size() == 41; });
  size_t position = 0;
  while (server_.messages[position].type != MessageType::kRequest) ++position;
  EXPECT_LT(position, 20u);
  EXPECT_EQ(server_.messages[position].body.size(), 100'000u);
  RunUntil(*loop_, [&] { return client_.rooms > 0; });
}

TEST_F(StreamChannelTest, ANewClientStartsASessionAndSkipsTheOldOnesBytes) {
  Connect();
  // Answers that the first client never reads fill the stream, the last one half-written.
  for (int i = 0; i < 40; ++i)
    (void)server_.channel->Send(MakeMessage(MessageType::kResponse, std::string(30000, 'o')));
  // The first client dies while it writes a frame.
  client_.channel.reset();
  const std::string half = EncodeFrame({1, 0, 1234, 0}, std::string(30000, 'h')).substr(0, 20000);
  ASSERT_EQ(write(host_fd_.get(), half.data(), half.size()), static_cast<ssize_t>(half.size()));
  Connect();
  EXPECT_EQ(server_.sessions, 2);
  ASSERT_TRUE(server_.channel->Send(MakeMessage(MessageType::kResponse, "new")));
  RunUntil(*loop_, [&] { return !client_.messages.empty(); });
  EXPECT_EQ(client_.messages[0].body, "new");
  EXPECT_TRUE(client_.closed.empty());
  ASSERT_TRUE(client_.channel->Send(MakeMessage(MessageType::kRequest, "question")));
  RunUntil(*loop_, [&] { return !server_.messages.empty(); });
  EXPECT_EQ(server_.messages[0].body, "question");
}

TEST_F(StreamChannelTest, AGuestThatSendsGarbageInASessionLosesIt) {
  auto [host, guest] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
  client_.channel = Make(*loop_, std::move(host), Role::kClient);
  client_.Start();
  server_.channel = Make(*loop_, UniqueFd(fcntl(guest.get(), F_DUPFD_CLOEXEC, 0)), Role::kServer);
  server_.Start();
  RunUntil(*loop_, [&] { return client_.sessions == 1; });
  ASSERT_EQ(write(guest.get(), "garbage", 7), 7);
  RunUntil(*loop_, [&] { return !client_.closed.empty(); });
  EXPECT_EQ(client_.closed[0].code, ErrorCode::kDataLoss);
}

TEST_F(StreamChannelTest, AMessageWithoutEndIsCutOffAtTheLimit) {
  auto [host, guest] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
  client_.channel = Make(*loop_, std::move(host), Role::kClient, AtEnd::kClosed, limits_);
  client_.Start();
  // A guest that answers the opening and then sends pieces for ever.
  uint64_t epoch = 0;
  FrameParser parser;
  RunUntil(*loop_, [&] {
    char buffer[4096];
    const ssize_t count = read(guest.get(), buffer, sizeof buffer);
    if (count > 0) parser.Append({buffer, static_cast<size_t>(count)});
    auto frame = parser.Next(FrameParser::Damage::kSkip).value();
    if (frame) epoch = frame->header.epoch;
    return epoch != 0;
  });
  const std::string accept = EncodeFrame({kAcceptFrame, 0, epoch, 0}, "");
  ASSERT_TRUE(WriteAll(guest.get(), accept));
  const std::string piece =
      EncodeFrame({2, FrameHeader::kMore, epoch, 0}, std::string(kMaxFrameBody, 'x'));
  size_t sent = 0;
  RunUntil(*loop_, [&] {
    const ssize_t count = send(guest.get(), piece.data() + sent % piece.size(),
                               piece.size() - sent % piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) sent += count;
    return !client_.closed.empty();
  });
  EXPECT_EQ(client_.closed[0].code, ErrorCode::kDataLoss);
  EXPECT_LT(sent, 3u << 20);
}

TEST_F(StreamChannelTest, OutputIsNotMistakenForFramesOfTheSession) {
  Connect();
  // A container cannot know the epoch; a frame under any other is data without meaning.
  const std::string forged = EncodeFrame({2, 0, 99, 0}, "forged");
  ASSERT_TRUE(server_.channel->Send(MakeMessage(MessageType::kData, forged + forged, 5),
                                    MessageChannel::Order::kBulk));
  RunUntil(*loop_, [&] { return !client_.messages.empty(); });
  EXPECT_EQ(client_.messages[0].body, forged + forged);
  EXPECT_EQ(client_.messages.size(), 1u);
}

// A FIFO without a writer behaves like a guest's port whose host is away: it polls as hung up and
// reads 0 bytes, for ever.
TEST(StreamChannelAtAPort, DoesNotSpinWhileTheHostIsAwayAndServesItsReturn) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("catamaran-port-" + std::to_string(getpid()));
  ASSERT_TRUE(MakeDirectories(folder));
  const std::string path = folder / "port";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  auto loop = EventLoop::Create().value();
  auto read_end = OpenFile(path, O_RDONLY | O_NONBLOCK).value();
  const int port = read_end.get();
  auto answers = MakePipe(O_NONBLOCK).value();
  Recorder server;
  server.channel =
      MakeStreamChannel(*loop, std::move(read_end), {Role::kServer, AtEnd::kPeerMayReturn, {}},
                        std::move(answers.write_end))
          .value();
  server.Start();
  for (int visit = 1; visit <= 3; ++visit) {
    auto host = OpenFile(path, O_WRONLY).value();
    ASSERT_TRUE(
        WriteAll(host.get(), EncodeFrame({kOpenFrame, 0, static_cast<uint64_t>(visit), 0}, "")));
    RunUntil(*loop, [&] { return server.sessions == visit; });
    host.Reset();
    pollfd state{port, POLLIN, 0};
    ASSERT_EQ(poll(&state, 1, 0), 1);
    ASSERT_TRUE(state.revents & POLLHUP);
    // A loop that spins comes back at once every time; ours wakes up for the change at most.
    int quiet_rounds = 0;
    for (int round = 0; round < 10; ++round) {
      const auto start = std::chrono::steady_clock::now();
      ASSERT_TRUE(loop->RunOnce(milliseconds(20)));
      if (std::chrono::steady_clock::now() - start >= milliseconds(19)) ++quiet_rounds;
    }
    EXPECT_GE(quiet_rounds, 8);
  }
  EXPECT_TRUE(server.closed.empty());
  ASSERT_TRUE(RemoveTree(folder));
}

}  // namespace
}  // namespace catamaran

#include "sandbox/protocol/unix_channel.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/protocol/channel_test_util.h"

namespace catamaran {
namespace {

class UnixChannelTest : public testing::Test {
 protected:
  UnixChannelTest() {
    auto [left, right] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
    left_.channel = MakeUnixChannel(*loop_, std::move(left), limits_).value();
    raw_ = std::move(right);
  }
  void StartBoth() {
    right_.channel = MakeUnixChannel(*loop_, std::move(raw_), limits_).value();
    left_.Start();
    right_.Start();
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  ChannelLimits limits_{.max_message = 1 << 20, .max_queued = 2 << 20, .bulk_room = 4096};
  UniqueFd raw_;
  Recorder left_, right_;
};

TEST_F(UnixChannelTest, CarriesMessagesOfEverySizeInOrder) {
  StartBoth();
  const std::vector<size_t> sizes = {0, 1, 11, 12, 13, 65535, 65536, 1 << 20};
  for (size_t i = 0; i < sizes.size(); ++i) {
    ASSERT_TRUE(left_.channel->Send(
        MakeMessage(MessageType::kEvent, std::string(sizes[i], static_cast<char>('a' + i)), i)));
  }
  RunUntil(*loop_, [&] { return right_.messages.size() == sizes.size(); });
  for (size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(right_.messages[i].body, std::string(sizes[i], static_cast<char>('a' + i)));
    EXPECT_EQ(right_.messages[i].stream, i);
  }
  EXPECT_EQ(left_.sessions, 1);
  EXPECT_TRUE(left_.channel->Idle());
}

TEST_F(UnixChannelTest, DescriptorsArriveWithTheirOwnMessage) {
  StartBoth();
  std::vector<Pipe> pipes;
  for (int i = 0; i < 3; ++i) pipes.push_back(MakePipe().value());
  for (int i = 0; i < 3; ++i) {
    Message message = MakeMessage(MessageType::kRequest, std::string(100'000, 'x'));
    message.fds.push_back(std::move(pipes[i].write_end));
    ASSERT_TRUE(left_.channel->Send(std::move(message)));
    ASSERT_TRUE(left_.channel->Send(MakeMessage(MessageType::kEvent, "between")));
  }
  RunUntil(*loop_, [&] { return right_.messages.size() == 6; });
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(right_.messages[2 * i].fds.size(), 1u);
    ASSERT_TRUE(right_.messages[2 * i + 1].fds.empty());
    ASSERT_TRUE(WriteAll(right_.messages[2 * i].fds[0].get(), std::string(1, '0' + i)));
    char byte = 0;
    ASSERT_EQ(read(pipes[i].read_end.get(), &byte, 1), 1);
    EXPECT_EQ(byte, '0' + i);
  }
}

TEST_F(UnixChannelTest, RefusesToQueueMoreThanItsLimitForAPeerThatDoesNotRead) {
  left_.Start();
  Status sent;
  size_t accepted = 0;
  while ((sent = left_.channel->Send(MakeMessage(MessageType::kEvent, std::string(65536, 'x')))))
    ASSERT_LT(++accepted, 1000u);
  EXPECT_EQ(sent.error().code, ErrorCode::kResourceExhausted);
  EXPECT_FALSE(left_.channel->HasRoom());
  EXPECT_FALSE(left_.channel->Idle());
}

TEST_F(UnixChannelTest, AnnouncedSizesBeyondTheLimitEndTheConnection) {
  left_.Start();
  const uint32_t header[3] = {0x7fffffff, 0, 1};
  ASSERT_TRUE(WriteAll(raw_.get(), {reinterpret_cast<const char*>(header), sizeof header}));
  RunUntil(*loop_, [&] { return !left_.closed.empty(); });
  EXPECT_EQ(left_.closed[0].code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(left_.channel->Send(MakeMessage(MessageType::kEvent, "")).error().code,
            ErrorCode::kUnavailable);
}

TEST_F(UnixChannelTest, DescriptorsThatWereAnnouncedButNotSentEndTheConnection) {
  left_.Start();
  const uint32_t header[3] = {0, 0, 1 | (2 << 8)};
  ASSERT_TRUE(WriteAll(raw_.get(), {reinterpret_cast<const char*>(header), sizeof header}));
  RunUntil(*loop_, [&] { return !left_.closed.empty(); });
  EXPECT_EQ(left_.closed[0].code, ErrorCode::kInvalidArgument);
}

TEST_F(UnixChannelTest, MessagesBeforeTheEndStillArriveAndTheEndIsReportedOnce) {
  StartBoth();
  ASSERT_TRUE(right_.channel->Send(MakeMessage(MessageType::kResponse, "last words")));
  right_.channel.reset();
  // Sending into a dead socket must not lose what is to be read.
  (void)left_.channel->Send(MakeMessage(MessageType::kRequest, "too late"));
  RunUntil(*loop_, [&] { return !left_.closed.empty(); });
  ASSERT_EQ(left_.messages.size(), 1u);
  EXPECT_EQ(left_.messages[0].body, "last words");
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(1)));
  EXPECT_EQ(left_.closed.size(), 1u);
}

TEST_F(UnixChannelTest, APausedReaderTakesNothingAndContinuesWhereItStopped) {
  StartBoth();
  right_.channel->PauseReading(true);
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(left_.channel->Send(MakeMessage(MessageType::kEvent, std::to_string(i))));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(1)));
  EXPECT_TRUE(right_.messages.empty());
  right_.channel->PauseReading(false);
  RunUntil(*loop_, [&] { return right_.messages.size() == 10; });
  EXPECT_EQ(right_.messages[9].body, "9");
}

TEST_F(UnixChannelTest, MayBeDestroyedFromItsOwnCallback) {
  MessageChannel::Callbacks callbacks;
  int calls = 0;
  callbacks.on_message = [&](Message) {
    ++calls;
    left_.channel.reset();
  };
  ASSERT_TRUE(left_.channel->Start(std::move(callbacks)));
  const uint32_t header[3] = {0, 0, 1};
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(WriteAll(raw_.get(), {reinterpret_cast<const char*>(header), sizeof header}));
  RunUntil(*loop_, [&] { return calls > 0; });
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(1)));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace catamaran

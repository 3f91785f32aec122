#include "cri/nri/frames.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

std::string Encoded(const TtrpcMessage& message) {
  auto encoded = EncodeTtrpcMessage(message);
  EXPECT_TRUE(encoded) << encoded.error().message;
  return encoded.value_or("");
}

uint32_t Number(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

TEST(Frames, AMessageIsOneFrameWithBigEndianNumbers) {
  EXPECT_EQ(Encoded({kRuntimeConnection, 3, kTtrpcRequest, 4, "abc"}),
            std::string("\0\0\0\2\0\0\0\15\0\0\0\3\0\0\0\3\1\4abc", 21));
}

// A Go peer's buffer of 4096 bytes takes the first frame.
TEST(Frames, ALongMessageIsAShortFrameAndALongOne) {
  const std::string bytes =
      Encoded({kPluginConnection, 1, kTtrpcResponse, 0, std::string(10000, 'x')});
  ASSERT_EQ(bytes.size(), 8 + 4096 + 8 + (10010 - 4096));
  EXPECT_EQ(Number(bytes, 4), 4096u);
  EXPECT_EQ(Number(bytes, 8 + 4096), kPluginConnection);
  EXPECT_EQ(Number(bytes, 8 + 4096 + 4), 10010u - 4096);
}

TEST(Frames, MessagesComeBackHoweverTheBytesAreCut) {
  const std::string bytes =
      Encoded({kRuntimeConnection, 1, kTtrpcRequest, 0, std::string(5000, 'a')}) +
      Encoded({kPluginConnection, 7, kTtrpcResponse, 1, ""}) +
      Encoded({kRuntimeConnection, 3, kTtrpcRequest, 0, "b"});
  for (size_t step : {size_t{1}, size_t{7}, size_t{4096}, bytes.size()}) {
    FrameReader reader;
    std::vector<TtrpcMessage> messages;
    for (size_t at = 0; at < bytes.size(); at += step)
      ASSERT_TRUE(reader.Feed(std::string_view(bytes).substr(at, step), &messages));
    ASSERT_EQ(messages.size(), 3u) << "in steps of " << step;
    EXPECT_EQ(messages[0].payload, std::string(5000, 'a'));
    EXPECT_EQ(messages[1].stream, 7u);
    EXPECT_EQ(messages[1].flags, 1);
    EXPECT_EQ(messages[1].connection, kPluginConnection);
    EXPECT_EQ(messages[2].payload, "b");
  }
}

TEST(Frames, OtherConnectionsAreSkipped) {
  FrameReader reader;
  std::vector<TtrpcMessage> messages;
  ASSERT_TRUE(reader.Feed(Encoded({9, 1, kTtrpcRequest, 0, "of no concern"}) +
                              Encoded({kRuntimeConnection, 1, kTtrpcRequest, 0, "x"}),
                          &messages));
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].payload, "x");
}

TEST(Frames, WhatIsTooLongIsRefusedBeforeItArrives) {
  std::vector<TtrpcMessage> messages;
  FrameReader of_frames, of_messages;
  const auto frame = of_frames.Feed(std::string("\0\0\0\1\xff\xff\xff\xff", 8), &messages);
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().code, ErrorCode::kInvalidArgument);
  const auto message =
      of_messages.Feed(std::string("\0\0\0\1\0\0\0\12\x00\x40\x00\x01\0\0\0\1\2\0", 18), &messages);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(EncodeTtrpcMessage(
      {kPluginConnection, 1, kTtrpcRequest, 0, std::string(kLongestTtrpcMessage + 1, 'x')}));
  EXPECT_TRUE(messages.empty());
}

}  // namespace
}  // namespace catamaran

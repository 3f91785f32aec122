#include "sandbox/protocol/frame.h"

#include <gtest/gtest.h>

#include <random>

namespace catamaran {
namespace {

using Damage = FrameParser::Damage;

std::string Frame(std::string_view body, uint64_t epoch = 7) {
  return EncodeFrame({1, 0, epoch, 3}, body);
}

TEST(Crc32c, MatchesTheValuesOfRfc3720) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
}

TEST(FrameParser, FindsFramesHoweverTheyAreCutIntoPieces) {
  std::string bytes;
  for (int i = 0; i < 20; ++i) bytes += Frame(std::string(i * 100, static_cast<char>('a' + i)));
  for (const size_t piece : {1ul, 7ul, 31ul, 32ul, 33ul, 5000ul, bytes.size()}) {
    FrameParser parser;
    int found = 0;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      parser.Append(std::string_view(bytes).substr(at, piece));
      while (true) {
        auto frame = parser.Next(Damage::kFail);
        ASSERT_TRUE(frame);
        if (!*frame) break;
        EXPECT_EQ((*frame)->body, std::string(found * 100, static_cast<char>('a' + found)));
        EXPECT_EQ((*frame)->header.epoch, 7u);
        EXPECT_EQ((*frame)->header.stream, 3u);
        ++found;
      }
    }
    EXPECT_EQ(found, 20) << "pieces of " << piece;
  }
}

TEST(FrameParser, SkipsGarbageHalfFramesAndDamageToTheNextWholeFrame) {
  const std::string good = Frame("good");
  std::string flipped = Frame("flipped");
  flipped.back() ^= 1;
  const std::string nested = Frame(good + "rest");
  const struct {
    const char* name;
    std::string before;
  } rows[] = {
      {"nothing", ""},
      {"zeros", std::string(40000, '\0')},
      {"the tail of a frame", nested.substr(60)},
      {"a header without its body, then zeros",
       Frame(std::string(30000, 'x')).substr(0, 50) + std::string(kMaxFrameBody + 32, '\0')},
      {"a damaged body", flipped},
      {"the magic again and again", "\xC7\xC7P\xC7PO\xC7POD\xC7POD"}};
  for (const auto& row : rows) {
    FrameParser parser;
    parser.Append(row.before + Frame("end"));
    std::vector<std::string> bodies;
    while (true) {
      auto frame = parser.Next(Damage::kSkip);
      ASSERT_TRUE(frame);
      if (!*frame) break;
      bodies.emplace_back((*frame)->body);
    }
    ASSERT_FALSE(bodies.empty()) << row.name;
    EXPECT_EQ(bodies.back(), "end") << row.name;
    EXPECT_EQ(parser.buffered(), 0u) << row.name;
  }
}

TEST(FrameParser, TakesDamageForAnErrorWhereAsked) {
  FrameParser parser;
  parser.Append("x");
  auto frame = parser.Next(Damage::kFail);
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().code, ErrorCode::kDataLoss);
}

TEST(FrameParser, HoldsNoMoreThanAFrameOfRandomBytes) {
  std::mt19937 random(1);
  FrameParser parser;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(1000, '\0');
    for (char& byte : bytes) byte = random() % 4 == 0 ? "\xC7POD"[random() % 4] : random();
    parser.Append(bytes);
    while (true) {
      auto frame = parser.Next(Damage::kSkip);
      ASSERT_TRUE(frame);
      if (!*frame) break;
    }
    ASSERT_LE(parser.buffered(), kMaxFrameBody + FrameHeader::kSize);
  }
}

}  // namespace
}  // namespace catamaran

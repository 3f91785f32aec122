#include "cri/streaming/stream_tokens.h"

#include <gtest/gtest.h>

#include <set>

namespace catamaran {
namespace {

using Kind = StreamTicket::Kind;

StreamTicket Ticket(Kind kind) {
  StreamTicket ticket;
  ticket.kind = kind;
  return ticket;
}

TEST(StreamTokens, AreGoodOnceAndForAMinute) {
  StreamTokens tokens;
  const auto now = StreamTokens::Clock::now();
  const auto path = tokens.Add(Ticket(Kind::kAttach), now);
  ASSERT_TRUE(path);
  EXPECT_TRUE(path->starts_with("/attach/")) << *path;
  ASSERT_TRUE(tokens.Take(*path, now));
  EXPECT_FALSE(tokens.Take(*path, now));
  const auto late = tokens.Add(Ticket(Kind::kExec), now);
  EXPECT_FALSE(tokens.Take(*late, now + StreamTokens::kLifetime));
}

TEST(StreamTokens, BelongToOnePath) {
  StreamTokens tokens;
  const auto path = tokens.Add(Ticket(Kind::kExec));
  EXPECT_FALSE(tokens.Take("/portforward/" + path->substr(6)));
  EXPECT_FALSE(tokens.Take(*path + "/"));
  EXPECT_FALSE(tokens.Take(""));
  EXPECT_TRUE(tokens.Take(*path));
}

TEST(StreamTokens, ThatWaitAreBoundedAndMakeRoomWhenTheyAreOld) {
  StreamTokens tokens;
  const auto now = StreamTokens::Clock::now();
  std::set<std::string> paths;
  for (size_t i = 0; i < StreamTokens::kMostWaiting; ++i)
    paths.insert(*tokens.Add(Ticket(Kind::kExec), now));
  EXPECT_EQ(paths.size(), StreamTokens::kMostWaiting);
  const auto more = tokens.Add(Ticket(Kind::kExec), now);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(tokens.Add(Ticket(Kind::kExec), now + StreamTokens::kLifetime));
}

}  // namespace
}  // namespace catamaran

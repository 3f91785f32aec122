// Forms of text, and work on several threads.
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <string>
#include <vector>

#include "cri/base/base64.h"
#include "cri/base/go_duration.h"
#include "cri/base/parallel.h"
#include "cri/base/text.h"

namespace catamaran {
namespace {

TEST(Text, IsLoweredWhateverItHolds) {
  EXPECT_EQ(ToLower("Www-AUTHENTICATE: [Z@]"), "www-authenticate: [z@]");
  EXPECT_EQ(ToLower("\xc3\x84"), "\xc3\x84") << "bytes of UTF-8 stay";
}

TEST(Text, KnowsControlCharacters) {
  for (const char* text : {"a\nb", "\x1b[2J", "\x7f", "\t"})
    EXPECT_TRUE(HasControlCharacters(text)) << text;
  for (const char* text : {"", "a b", "~", "\xc3\x84"})
    EXPECT_FALSE(HasControlCharacters(text)) << text;
}

TEST(Text, OfStrangersStaysOnOneLine) {
  EXPECT_EQ(OneLine("a\n\x1b[31mb\r\n", 100), "a [31mb");
  EXPECT_EQ(OneLine("a \n b", 100), "a  b");
  EXPECT_EQ(OneLine(std::string("a\0b", 3), 100), "a b");
  EXPECT_EQ(OneLine("abcdef", 6), "abcdef");
  EXPECT_EQ(OneLine("abcdef", 5), "abcde...");
  EXPECT_EQ(OneLine("", 5), "");
}

TEST(Base64, IsWhatTheStandardSays) {
  // RFC 4648, section 10.
  const std::pair<const char*, const char*> rows[] = {{"", ""},
                                                      {"f", "Zg=="},
                                                      {"fo", "Zm8="},
                                                      {"foo", "Zm9v"},
                                                      {"foob", "Zm9vYg=="},
                                                      {"fooba", "Zm9vYmE="},
                                                      {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : rows) {
    EXPECT_EQ(EncodeBase64(bytes), text);
    EXPECT_EQ(DecodeBase64(text), bytes);
  }
  const std::string all("\x00\xff\x10\x80 \n", 6);
  EXPECT_EQ(DecodeBase64(EncodeBase64(all)), all);
  EXPECT_EQ(DecodeBase64("Zg"), "f") << "some leave the padding out";
  for (const char* wrong : {"Zm 9v", "Zm9v\n", "Z-_v", "=Zg"})
    EXPECT_FALSE(DecodeBase64(wrong)) << wrong;
}

TEST(GoDuration, IsReadAsGoDoes) {
  using std::chrono::milliseconds;
  EXPECT_EQ(ParseGoDuration("2m0s"), milliseconds(120'000));
  EXPECT_EQ(ParseGoDuration("1.5h"), milliseconds(5'400'000));
  EXPECT_EQ(ParseGoDuration("500ms"), milliseconds(500));
  EXPECT_EQ(ParseGoDuration("0"), milliseconds(0));
  for (const char* text : {"", "5", "s", "-1s", "1d", "1.2.3s", "1e300h", "1s "})
    EXPECT_FALSE(ParseGoDuration(text)) << text;
}

TEST(ForEachInParallel, DoesEachOnceOnNoMoreThreadsThanAllowed) {
  std::vector<int> items(1000);
  std::iota(items.begin(), items.end(), 0);
  std::vector<std::atomic<int>> done(items.size());
  std::atomic<int> now{0}, most{0};
  ForEachInParallel(items, 3, [&](int item) {
    int seen = most;
    const int running = ++now;
    while (seen < running && !most.compare_exchange_weak(seen, running)) continue;
    ++done[static_cast<size_t>(item)];
    --now;
  });
  for (const auto& count : done) EXPECT_EQ(count, 1);
  EXPECT_LE(most, 3);
  ForEachInParallel(std::vector<int>(), 3, [](int) { FAIL() << "there is none"; });
}

}  // namespace
}  // namespace catamaran

#include "shim/log_format.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

const timespec kTime{1767323045, 6007};  // 2026-01-02T03:04:05.000006007Z
const std::string kStamp = "2026-01-02T03:04:05.000006007Z";

std::string Format(const std::vector<std::string>& pieces, bool finish = true) {
  LogFormatter formatter("stdout");
  std::string records;
  for (const auto& piece : pieces) formatter.Append(piece, kTime, records);
  if (finish) formatter.Finish(kTime, records);
  return records;
}

std::string Line(const std::string& tag, const std::string& content) {
  return kStamp + " stdout " + tag + " " + content + "\n";
}

TEST(LogFormatter, WritesOneRecordPerLine) {
  EXPECT_EQ(Format({"one\ntwo\n"}), Line("F", "one") + Line("F", "two"));
  EXPECT_EQ(Format({"\n\n"}), Line("F", "") + Line("F", ""));
}

TEST(LogFormatter, JoinsWhatComesInPieces) {
  EXPECT_EQ(Format({"o", "n", "e\ntw", "o\n"}), Line("F", "one") + Line("F", "two"));
}

TEST(LogFormatter, DropsTheCarriageReturnOfALineEndOnly) {
  EXPECT_EQ(Format({"a\rb\r\n", "c\r", "\n"}), Line("F", "a\rb") + Line("F", "c"));
}

TEST(LogFormatter, TagsAnUnfinishedLineAtTheEndAsPartial) {
  EXPECT_EQ(Format({"done\nno newline"}), Line("F", "done") + Line("P", "no newline"));
  EXPECT_EQ(Format({"no newline"}, false), "");
  EXPECT_EQ(Format({}), "");
}

TEST(LogFormatter, CutsLongLinesIntoPiecesWhoseLastIsFull) {
  const std::string full(kMaxLogContent, 'x');
  EXPECT_EQ(Format({full + "\n"}), Line("F", full));
  EXPECT_EQ(Format({full + "y\n"}), Line("P", full) + Line("F", "y"));
  EXPECT_EQ(Format({full + full + "\n"}), Line("P", full) + Line("F", full));
  EXPECT_EQ(Format({full.substr(1), "x", "y", "\n"}), Line("P", full) + Line("F", "y"));
  EXPECT_EQ(Format({full + full}), Line("P", full) + Line("P", full));
}

TEST(LogFormatter, GivesTheSameContentHoweverTheBytesAreCut) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += std::string(i * 131 % 40000, 'a' + i % 26) + "\n";
  const std::string whole = Format({text});
  for (const size_t size : {1ul, 999ul, 16384ul, 65536ul}) {
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size(); at += size) pieces.push_back(text.substr(at, size));
    EXPECT_EQ(Format(pieces), whole) << size;
  }
}

TEST(LogFormatter, StampsEverySecondAnew) {
  LogFormatter formatter("stderr");
  std::string records;
  formatter.Append("a\n", {1767323045, 999999999}, records);
  formatter.Append("b\n", {1767323046, 0}, records);
  EXPECT_EQ(records,
            "2026-01-02T03:04:05.999999999Z stderr F a\n"
            "2026-01-02T03:04:06.000000000Z stderr F b\n");
}

}  // namespace
}  // namespace catamaran

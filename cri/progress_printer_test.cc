#include "cri/progress_printer.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

constexpr char kFirst[] = "sha256:1111111111112222";
constexpr char kSecond[] = "sha256:3333333333334444";

TEST(ProgressPrinter, WritesOneLineForEachLayerWhereNobodyWatches) {
  std::string text;
  ProgressPrinter printer(false, [&](const std::string& more) { text += more; });
  printer({kFirst, 1'000'000, 4'000'000, false});
  printer({kFirst, 4'000'000, 4'000'000, true});
  printer({kSecond, 100'000, 100'000, true});
  EXPECT_EQ(text,
            "layer sha256:111111111111: 4.0 MB done\n"
            "layer sha256:333333333333: 0.1 MB done\n");
}

TEST(ProgressPrinter, RedrawsTheLayersUnderWayOnATerminal) {
  std::string text;
  ProgressPrinter printer(true, [&](const std::string& more) { text += more; });
  printer({kFirst, 1'000'000, 4'000'000, false});
  printer({kFirst, 1'000'100, 4'000'000, false});  // the same percentage
  printer({kSecond, 5'000'000, 10'000'000, false});
  printer({kFirst, 4'000'000, 4'000'000, true});
  EXPECT_EQ(text,
            "layer sha256:111111111111:  25% of 4.0 MB\n"
            "\x1b[1A\x1b[2K"
            "layer sha256:111111111111:  25% of 4.0 MB\n"
            "layer sha256:333333333333:  50% of 10.0 MB\n"
            "\x1b[1A\x1b[2K\x1b[1A\x1b[2K"
            "layer sha256:111111111111: 4.0 MB done\n"
            "layer sha256:333333333333:  50% of 10.0 MB\n");
}

}  // namespace
}  // namespace catamaran

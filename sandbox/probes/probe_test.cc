#include "sandbox/probes/probe.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace catamaran {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong(30'000);

Probe Named(std::function<Result<Finding>()> run) {
  return {.name = "thing",
          .failure = FindingStatus::kDegraded,
          .meaning = "less",
          .remedy = "more",
          .run = std::move(run)};
}

const Finding kFailed{"thing", FindingStatus::kDegraded, "it is broken", "less", "more"};

TEST(Finding, TravelsAsOneLine) {
  const Finding finding{"a \"b\"", FindingStatus::kMissing, "line\nbreak \xc3\xa4", "x", "y"};
  const std::string line = FindingToLine(finding);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(FindingFromLine(line).value(), finding);
}

TEST(Finding, ReplacesBytesThatAreNoText) {
  const auto back = FindingFromLine(FindingToLine({"n", FindingStatus::kOk, "\xff!", "", ""}));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->seen, "\xef\xbf\xbd!");
}

TEST(Finding, RefusesLinesThatAreNone) {
  for (const char* line : {"", "x", "[]", "{}", R"({"name":"a","status":"fine"})",
                           R"({"name":"","status":"ok"})", R"({"name":7,"status":"ok"})"})
    EXPECT_FALSE(FindingFromLine(line)) << line;
}

TEST(Probe, SaysWhatItsChildFound) {
  const Finding found = RunProbe(Named([] { return Works("fine"); }), kLong);
  EXPECT_EQ(found, (Finding{"thing", FindingStatus::kOk, "fine", "", ""}));
}

TEST(Probe, TurnsAnErrorIntoItsFailure) {
  EXPECT_EQ(RunProbe(Named([]() -> Result<Finding> {
                       return Fail(ErrorCode::kInternal, "it is broken");
                     }),
                     kLong),
            kFailed);
}

TEST(Probe, SurvivesAChildThatCrashes) {
  const Finding found = RunProbe(Named([]() -> Result<Finding> {
                                   raise(SIGKILL);
                                   return Works("");
                                 }),
                                 kLong);
  EXPECT_EQ(found.status, FindingStatus::kDegraded);
  EXPECT_EQ(found.seen, "the probe died (exit code 137)");
  EXPECT_EQ(found.remedy, "more");
}

TEST(Probe, EndsAChildThatDoesNotWithWhatItStarted) {
  int alive[2];
  ASSERT_EQ(pipe(alive), 0);
  bool cleaned = false;
  Probe probe = Named([&]() -> Result<Finding> {
    if (fork() == 0) pause();
    pause();
    return Works("");
  });
  probe.clean_up = [&] { cleaned = true; };
  const Finding found = RunProbe(probe, milliseconds(1000));
  EXPECT_EQ(found.seen, "no answer within 1 s");
  EXPECT_NE(found.remedy.find("--patience 30; else more"), std::string::npos) << found.remedy;
  EXPECT_TRUE(cleaned);
  // The last holder of the other end is gone.
  close(alive[1]);
  char byte;
  EXPECT_EQ(read(alive[0], &byte, 1), 0);
  close(alive[0]);
}

}  // namespace
}  // namespace catamaran

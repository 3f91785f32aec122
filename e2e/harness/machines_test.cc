// What makes a run fail for its machines' sake, and what it says.
#include "e2e/harness/machines.h"

#include <gtest/gtest.h>

namespace catamaran::e2e {
namespace {

using Boot = MachineCount::Boot;

MachineFacts Restored() { return {.launcher = "qemu", .accelerator = "tcg", .start = "restored"}; }
MachineFacts Booted() {
  return {.launcher = "qemu",
          .accelerator = "tcg",
          .start = "booted",
          .why_not_restored = "the keeper is away"};
}

TEST(MachineCountTest, RestoredMachinesAndBootsThatWereAskedForAreFine) {
  MachineCount count;
  count.Add("scenario", "one", Restored(), Boot::kUnasked);
  count.Add("scenario", "two", Booted(), Boot::kAskedFor);
  EXPECT_FALSE(count.failed());
  ASSERT_FALSE(count.Report().empty());
  EXPECT_EQ(count.Report()[0], "1 restored, 1 booted as asked, 0 booted unasked");
}

TEST(MachineCountTest, AnUnaskedBootFailsTheRunAndNamesScenarioPodAndReason) {
  MachineCount count;
  count.Add("scenario", "one", Booted(), Boot::kUnasked);
  EXPECT_TRUE(count.failed());
  EXPECT_EQ(count.Report().back(),
            "cold boot not asked for: scenario: pod one: booted (the keeper is away)");
}

TEST(MachineCountTest, AMachineOfUnknownStartIsNoClone) {
  MachineCount count;
  count.Add("scenario", "one", {.start = "unknown"}, Boot::kUnasked);
  EXPECT_TRUE(count.failed());
}

TEST(MachineCountTest, APodIsCountedOnceHoweverOftenItIsAsked) {
  MachineCount count;
  for (int i = 0; i < 3; ++i) count.Add("scenario", "one", Booted(), Boot::kUnasked);
  EXPECT_EQ(count.Report()[0], "0 restored, 0 booted as asked, 1 booted unasked");
}

}  // namespace
}  // namespace catamaran::e2e

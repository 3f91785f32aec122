#include "e2e/bench/samples.h"

#include <gtest/gtest.h>

namespace catamaran::e2e {
namespace {

TEST(SamplesTest, ARatioIsThatOfTheMedians) {
  Samples samples;
  for (int round = 0; round < 3; ++round) {
    samples.Add("ms", "a", round, 1 + round);
    samples.Add("ms", "b", round, 10 * (1 + round));
  }
  ASSERT_TRUE(samples.Ratio("ms", "a", "b"));
  EXPECT_DOUBLE_EQ(*samples.Ratio("ms", "a", "b"), 0.1);
}

TEST(SamplesTest, WhatWasMeasuredOneAfterTheOtherHasNoRatio) {
  Samples samples;
  for (int round = 0; round < 3; ++round) samples.Add("ms", "a", round, 1);
  for (int round = 0; round < 3; ++round) samples.Add("ms", "b", round, 1);
  EXPECT_EQ(samples.Ratio("ms", "a", "b").error().code, ErrorCode::kFailedPrecondition);
}

TEST(SamplesTest, ARoundThatOneSideMissedHasNoRatio) {
  Samples samples;
  samples.Add("ms", "a", 0, 1);
  samples.Add("ms", "b", 0, 1);
  samples.Add("ms", "a", 1, 1);
  const auto ratio = samples.Ratio("ms", "a", "b");
  ASSERT_FALSE(ratio);
  EXPECT_EQ(ratio.error().message, "b was not measured in round 1");
}

TEST(SamplesTest, NothingMeasuredAndADivisorOfZeroHaveNoRatio) {
  Samples samples;
  samples.Add("ms", "a", 0, 1);
  EXPECT_FALSE(samples.Ratio("ms", "a", "b"));
  EXPECT_FALSE(samples.Ratio("other", "a", "a"));
  samples.Add("ms", "b", 0, 0);
  EXPECT_FALSE(samples.Ratio("ms", "a", "b"));
}

TEST(SamplesTest, QuantilesAreByNearestRank) {
  const std::vector<double> values = {1, 2, 3, 4};
  EXPECT_EQ(Quantile(values, 0), 1);
  EXPECT_EQ(Quantile(values, 0.5), 2);
  EXPECT_EQ(Quantile(values, 0.99), 4);
  EXPECT_EQ(Quantile({7}, 0.5), 7);
}

}  // namespace
}  // namespace catamaran::e2e

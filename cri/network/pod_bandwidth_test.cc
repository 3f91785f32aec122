#include "cri/network/pod_bandwidth.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

TEST(PodBandwidth, IsWhatTheAnnotationsSay) {
  const auto both = ReadBandwidth(
      {{kIngressBandwidth, "10M"}, {kEgressBandwidth, "1.5Gi"}, {"example.com/other", "1"}});
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(both->ingress, 10'000'000u);
  EXPECT_EQ(both->egress, 1'610'612'736u);
  const auto edges = ReadBandwidth({{kIngressBandwidth, "1k"}, {kEgressBandwidth, "1P"}});
  ASSERT_TRUE(edges) << edges.error().message;
  EXPECT_EQ(edges->ingress, 1000u);
  EXPECT_EQ(edges->egress, 1'000'000'000'000'000u);
  EXPECT_FALSE(ReadBandwidth({})->limited());
}

TEST(PodBandwidth, WhatIsNoRateIsRefusedByAnnotation) {
  for (const std::string text : {"", "fast", "-1M", "10 M", "1k1", "999", "2P", "1e400", "inf",
                                 "nan", "0x10", "+5M", "5Mi\n", "1e", "1.2.3", "0"}) {
    for (const std::string annotation : {kIngressBandwidth, kEgressBandwidth}) {
      const auto limits = ReadBandwidth({{annotation, text}});
      ASSERT_FALSE(limits) << text;
      EXPECT_EQ(limits.error().code, ErrorCode::kInvalidArgument);
      EXPECT_NE(limits.error().message.find(annotation), std::string::npos)
          << limits.error().message;
    }
  }
}

TEST(PodBandwidth, ABurstIsATenthOfASecondWithinBounds) {
  EXPECT_EQ(BurstOf(100'000'000), 10'000'000u);
  EXPECT_EQ(BurstOf(1000), 131'072u);
  EXPECT_EQ(BurstOf(1'000'000'000'000'000), UINT32_MAX);
}

TEST(PodBandwidth, ReadsQuantitiesAsKubernetesWritesThem) {
  const std::pair<const char*, uint64_t> rows[] = {
      {"0", 0},        {"1", 1},           {"10k", 10'000}, {"1M", 1'000'000},
      {"1Ki", 1024},   {"1.5Mi", 1572864}, {"2e3", 2000},   {"1E3", 1000},
      {".5k", 500},    {"100m", 1},        {"5.", 5},       {"1T", 1'000'000'000'000},
      {"1Gi", 1 << 30}};
  for (const auto& [text, value] : rows) {
    const auto parsed = ParseQuantity(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, value) << text;
  }
}

}  // namespace
}  // namespace catamaran

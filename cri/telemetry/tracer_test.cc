#include "cri/telemetry/tracer.h"

#include <gtest/gtest.h>

#include <set>

#include "cri/telemetry/collector_testing.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;

constexpr char kSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr char kUnsampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

class TracerTest : public testing::Test {
 protected:
  void Set(uint32_t rate) {
    ASSERT_TRUE(tracer_.Replace({.endpoint = collector_.url(), .sampling_rate_per_million = rate}));
  }
  bool Traces(const TraceHeaders& headers) {
    Tracer::Call call;
    call.Begin(tracer_, "test", headers);
    return static_cast<bool>(call);
  }
  std::vector<CollectedSpan> Await(size_t spans) {
    EXPECT_TRUE(TestCollector::Await([&] { return collector_.Spans().size() >= spans; }));
    return collector_.Spans();
  }

  Meters meters_;
  TestCollector collector_;
  Tracer tracer_{meters_, {.version = "1", .gather = milliseconds(10)}};
};

TEST_F(TracerTest, FollowsTheCaller) {
  EXPECT_FALSE(Traces({kSampled, ""})) << "switched off";
  Set(0);
  EXPECT_TRUE(Traces({kSampled, ""}));
  EXPECT_FALSE(Traces({kUnsampled, ""}));
  EXPECT_FALSE(Traces({"", ""}));
  EXPECT_FALSE(Traces({"00-nonsense", ""}));
  Set(1'000'000);
  EXPECT_TRUE(Traces({"", ""}));
  EXPECT_TRUE(Traces({"00-nonsense", ""})) << "as if it were not there";
  EXPECT_FALSE(Traces({kUnsampled, ""})) << "the caller has decided";
  ASSERT_TRUE(tracer_.Replace({}));
  EXPECT_FALSE(Traces({kSampled, ""}));
}

TEST_F(TracerTest, TracesSoManyOfAMillion) {
  Set(100'000);
  int traced = 0;
  for (int i = 0; i < 20'000; ++i) traced += Traces({"", ""}) ? 1 : 0;
  EXPECT_NEAR(traced, 2000, 250);
}

TEST_F(TracerTest, WhatIsDoneWithinACallIsBelowIt) {
  Set(0);
  {
    Tracer::Call call;
    call.Begin(tracer_, "call", {kSampled, "vendor=value"});
    call.Note("image.ref", "");
    call.Note("container.id", "c1");
    EXPECT_EQ(call.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    {
      const StepSpan step("step");
      EXPECT_TRUE(
          Span::Current().Traceparent().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    }
    const Error error{ErrorCode::kNotFound, 0, "no such pod"};
    call.SetError(&error);
  }
  EXPECT_FALSE(Span::Current());
  const auto spans = Await(2);
  ASSERT_EQ(spans.size(), 2u);
  const otlp::Span &call = spans[0].span, &step = spans[1].span;
  EXPECT_EQ(call.parent_span_id(), std::string("\0\xf0\x67\xaa\x0b\xa9\x02\xb7", 8));
  EXPECT_EQ(call.trace_state(), "vendor=value");
  EXPECT_EQ(call.status().message(), "no such pod");
  EXPECT_EQ(spans[0].Attribute("container.id"), "c1");
  EXPECT_EQ(spans[0].Attribute("error.type"), "NOT_FOUND");
  EXPECT_EQ(call.attributes_size(), 2);
  EXPECT_EQ(step.parent_span_id(), call.span_id());
  EXPECT_GE(step.start_time_unix_nano(), call.start_time_unix_nano());
  EXPECT_LE(step.end_time_unix_nano(), call.end_time_unix_nano());
  const int64_t now =
      std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(static_cast<double>(call.end_time_unix_nano()), static_cast<double>(now), 60e9);
}

TEST_F(TracerTest, ACallWithoutACallerIsARootWithIdsOfItsOwn) {
  Set(1'000'000);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(Traces({"", "vendor=of nobody"}));
  std::set<std::string> traces, ids;
  for (const auto& collected : Await(50)) {
    EXPECT_EQ(collected.span.parent_span_id(), "");
    EXPECT_EQ(collected.span.trace_state(), "");
    traces.insert(collected.span.trace_id());
    ids.insert(collected.span.span_id());
  }
  EXPECT_EQ(traces.size(), 50u);
  EXPECT_EQ(ids.size(), 50u);
}

TEST_F(TracerTest, AHostileTracestateIsNotCarried) {
  Set(0);
  EXPECT_TRUE(Traces({kSampled, "a=\x01"}));
  EXPECT_TRUE(Traces({kSampled, std::string(513, 'a')}));
  EXPECT_TRUE(Traces({kSampled, "a=\xff"}));
  for (const auto& collected : Await(3)) EXPECT_EQ(collected.span.trace_state(), "");
}

TEST_F(TracerTest, SwitchedOffItCostsNothing) {
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 1'000'000; ++i) {
    Tracer::Call call;
    if (tracer_.on()) call.Begin(tracer_, "call", {kSampled, ""});
    const StepSpan step("step");
  }
  const auto each = (std::chrono::steady_clock::now() - began) / 1'000'000;
  RecordProperty("nanoseconds", std::to_string(each.count()));
  EXPECT_LT(each, std::chrono::microseconds(2));
}

}  // namespace
}  // namespace catamaran

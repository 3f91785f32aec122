#include "sandbox/base/trace.h"

#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <thread>

#include "sandbox/base/trace_context.h"

namespace catamaran {
namespace {

constexpr char kTraceparent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Traceparent, IsReadToTheLetter) {
  const auto context = ParseTraceparent(kTraceparent);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(context->parent_id, "00f067aa0ba902b7");
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(context->Traceparent(), kTraceparent);
}

TEST(Traceparent, OnlyTheLowestFlagIsKnown) {
  const std::string rest = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-";
  EXPECT_FALSE(ParseTraceparent(rest + "00")->sampled);
  EXPECT_FALSE(ParseTraceparent(rest + "fe")->sampled);
  EXPECT_TRUE(ParseTraceparent(rest + "ff")->sampled);
  EXPECT_TRUE(ParseTraceparent(rest + "0b")->sampled);
  EXPECT_EQ(ParseTraceparent(rest + "ff")->Traceparent(), kTraceparent);
}

TEST(Traceparent, WhatIsNoneIsNone) {
  const std::string good = kTraceparent;
  const std::pair<const char*, std::string> wrong[] = {
      {"empty", ""},
      {"upper case", "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
      {"a trace of zeros", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"},
      {"a parent of zeros", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"},
      {"version ff", "ff" + good.substr(2)},
      {"longer than its version", good + "-00"},
      {"one digit more", good + "0"},
      {"one digit less", good.substr(0, 54)},
      {"a space before", " " + good},
      {"no digit", "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01"},
      {"other dashes", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
      {"a line feed", good.substr(0, 54) + "\n"},
      {"a later version that goes on without a dash", "01" + good.substr(2) + "x"},
  };
  for (const auto& [what, header] : wrong) EXPECT_FALSE(ParseTraceparent(header)) << what;
  EXPECT_TRUE(ParseTraceparent("01" + good.substr(2)));
  EXPECT_TRUE(ParseTraceparent("cc" + good.substr(2) + "-what-later-versions-add"));
}

// The grammar of the recommendation against the parser, over what is nearly right.
TEST(Traceparent, AgreesWithTheGrammarOnRandomChanges) {
  const std::regex grammar(
      "00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
      "|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[^]*)?");
  const std::string alphabet("0123456789abcdefAFg- \0\n\xff", 25);
  std::mt19937 random(20261129);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string header = kTraceparent;
    for (unsigned changes = random() % 4; changes > 0; --changes) {
      const size_t at = random() % header.size();
      const char c = alphabet[random() % alphabet.size()];
      if (random() % 3 == 0)
        header.insert(at, 1, c);
      else if (random() % 3 == 0)
        header.erase(at, 1);
      else
        header[at] = c;
    }
    const bool taken = ParseTraceparent(header).has_value();
    ASSERT_EQ(taken, std::regex_match(header, grammar)) << header;
    accepted += taken ? 1 : 0;
  }
  EXPECT_GT(accepted, 4000);
}

TEST(Span, OfNoTraceDoesNothing) {
  EXPECT_FALSE(Span::Current());
  StepSpan step("nothing");
  EXPECT_FALSE(Span::Current());
  EXPECT_FALSE(Span().Child("child"));
  EXPECT_EQ(Span().Traceparent(), "");
}

TEST(Span, StepsOfOneThreadNest) {
  const auto trace = std::make_shared<Trace>(kTraceparent);
  {
    const SpanScope scope(Span(trace, 0).Child("request"));
    {
      StepSpan outer("outer");
      const StepSpan inner("inner");
      outer.Fail();
    }
    const StepSpan next("next");
    std::thread([] { EXPECT_FALSE(Span::Current()); }).join();
  }
  EXPECT_FALSE(Span::Current());
  const auto spans = trace->Take();
  ASSERT_EQ(spans.size(), 4u);
  const uint32_t parents[] = {0, 1, 2, 1};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(spans[i].parent, parents[i]) << spans[i].name;
  EXPECT_TRUE(spans[1].failed);
  EXPECT_FALSE(spans[2].failed);
  EXPECT_LE(spans[1].began_ns, spans[2].began_ns);
  EXPECT_LE(spans[2].ended_ns, spans[1].ended_ns);
}

TEST(Span, AStepThatCompletesLaterEndsThenAndWhatFollowsIsItsSibling) {
  const auto trace = std::make_shared<Trace>(kTraceparent);
  UniqueFunction<void(Result<int>)> pending;
  {
    const SpanScope scope(Span(trace, 0).Child("request"));
    pending = AsStep<int>("first", [](const Result<int>&) { const StepSpan next("second"); });
  }
  pending(Fail(ErrorCode::kInternal, "broken"));
  const auto spans = trace->Take();
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_TRUE(spans[1].failed);
  EXPECT_EQ(spans[2].name, "second");
  EXPECT_EQ(spans[2].parent, 1u);
}

TEST(Trace, IsBoundedAndEndsWhenItIsTaken) {
  const auto trace = std::make_shared<Trace>(kTraceparent);
  const Span request = Span(trace, 0).Child("request");
  for (size_t i = 0; i < 2 * Trace::kMostSpans; ++i) request.Child("step").End();
  const auto spans = trace->Take();
  EXPECT_EQ(spans.size(), Trace::kMostSpans);
  EXPECT_GE(spans[0].ended_ns, spans.back().ended_ns);
  request.Child("too late").End();
  request.Note("too", "late");
  EXPECT_TRUE(trace->Take().empty());
}

TEST(Trace, GivesIdsToWhatItIsAskedForWhereItHasAny) {
  const auto trace = std::make_shared<Trace>(kTraceparent, 0x1000);
  EXPECT_EQ(Span(trace, 0).Traceparent(), kTraceparent);
  EXPECT_EQ(Span(trace, 0).Child("request").Child("step").Traceparent(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000001002-01");
  const auto without = std::make_shared<Trace>(kTraceparent);
  EXPECT_EQ(Span(without, 0).Child("request").Traceparent(), kTraceparent);
}

}  // namespace
}  // namespace catamaran

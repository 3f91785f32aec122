#include "cri/telemetry/trace_exporter.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>

#include "cri/registry/testing/certificates.h"
#include "cri/telemetry/collector_testing.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class TraceExporterTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/exporter-XXXXXX";
    folder_ = HostPath(mkdtemp(name));
    exporter_ = TraceExporter::Start(meters_, {.version = "1.2",
                                               .gather = milliseconds(20),
                                               .first_pause = milliseconds(20),
                                               .notice = [this](const std::string& text) {
                                                 const std::lock_guard lock(mutex_);
                                                 notices_.push_back(text);
                                               }});
  }
  void TearDown() override {
    exporter_.reset();
    (void)RemoveTree(folder_.value());
  }
  Status SendTo(const std::string& endpoint) {
    return exporter_->Replace({.endpoint = endpoint, .service_name = "node"});
  }
  static FinishedTrace TraceOf(size_t spans) {
    FinishedTrace trace{.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                        .parent_id = "00f067aa0ba902b7",
                        .tracestate = "vendor=1",
                        .first_id = 0x1000};
    for (size_t i = 0; i < spans; ++i)
      trace.spans.push_back(
          {.name = "step", .began_ns = 5, .ended_ns = 7, .parent = i == 0 ? 0u : 1u});
    return trace;
  }
  int Count(const std::string& result) const {
    const std::string text = meters_.Text({});
    const std::string line = "\ncatamaran_trace_spans_total{result=\"" + result + "\"} ";
    const size_t at = text.find(line);
    return at == std::string::npos ? -1 : std::stoi(text.substr(at + line.size()));
  }
  std::vector<std::string> notices() {
    const std::lock_guard lock(mutex_);
    return notices_;
  }
  HostPath Write(const std::string& name, const std::string& text) {
    const HostPath path = folder_ / name;
    EXPECT_TRUE(ReplaceFile(path.value(), text, 0600, Durability::kProcessCrash));
    return path;
  }

  HostPath folder_;
  Meters meters_;
  std::mutex mutex_;
  std::vector<std::string> notices_;
  std::unique_ptr<TraceExporter> exporter_;
};

TEST_F(TraceExporterTest, SendsWhatACollectorReads) {
  TestCollector collector;
  ASSERT_TRUE(SendTo(collector.url()));
  FinishedTrace trace = TraceOf(3);
  trace.unix_offset_ns = 1'700'000'000'000'000'000;
  trace.error = "registry: --password hunter2 is wrong \xff";
  trace.spans[0].name = "runtime.v1.RuntimeService/RunPodSandbox";
  trace.spans[0].failed = true;
  trace.spans[0].details = {{"rpc.grpc.status_code", "0"}, {"rpc.grpc.status_code", "14"}};
  trace.spans[1].by = "shim";
  trace.spans[1].details = {{"template", "token=hunter2 \n"}};
  trace.spans[2].by = "agent";
  trace.spans[2].parent = 2;
  exporter_->Offer(trace);
  ASSERT_TRUE(TestCollector::Await([&] { return collector.Spans().size() == 3; }));
  const auto request = collector.requests().front();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/v1/traces");
  EXPECT_EQ(request.Header("content-type"), "application/x-protobuf");
  EXPECT_EQ(request.text.find("hunter2"), std::string::npos) << "a secret";

  std::map<std::string, CollectedSpan> by_service;
  for (const auto& span : collector.Spans()) by_service[span.service] = span;
  const otlp::Span& call = by_service["node"].span;
  EXPECT_EQ(call.trace_id().size(), 16u);
  EXPECT_EQ(call.trace_id().substr(0, 2), "\x4b\xf9");
  EXPECT_EQ(call.span_id(), std::string("\0\0\0\0\0\0\x10\x01", 8));
  EXPECT_EQ(call.parent_span_id(), std::string("\0\xf0\x67\xaa\x0b\xa9\x02\xb7", 8));
  EXPECT_EQ(call.trace_state(), "vendor=1");
  EXPECT_EQ(call.kind(), otlp::Span::SERVER);
  EXPECT_EQ(call.start_time_unix_nano(), 1'700'000'000'000'000'005u);
  EXPECT_EQ(call.end_time_unix_nano(), 1'700'000'000'000'000'007u);
  EXPECT_EQ(call.status().code(), otlp::SpanStatus::ERROR);
  EXPECT_EQ(call.attributes_size(), 1) << "a key is there once";
  EXPECT_EQ(by_service["node"].Attribute("rpc.grpc.status_code"), "14");
  EXPECT_EQ(by_service["node-shim"].span.parent_span_id(), call.span_id());
  EXPECT_EQ(by_service["node-agent"].span.parent_span_id(), by_service["node-shim"].span.span_id());
  EXPECT_EQ(by_service["node-agent"].span.kind(), otlp::Span::INTERNAL);
  ASSERT_TRUE(TestCollector::Await([&] { return Count("sent") == 3; }));
  EXPECT_TRUE(notices().empty());
}

TEST_F(TraceExporterTest, WhatComesTogetherIsSentTogether) {
  TestCollector collector;
  ASSERT_TRUE(SendTo(collector.url()));
  for (int i = 0; i < 400; ++i) exporter_->Offer(TraceOf(10));
  ASSERT_TRUE(TestCollector::Await([&] { return Count("sent") == 4000; }));
  EXPECT_LE(collector.requests().size(), 4000 / TraceExporter::kBatch + 2);
}

TEST_F(TraceExporterTest, ACollectorThatHangsCostsNobodyTimeAndABoundedQueue) {
  TestCollector collector([](int) { return TestServer::Answer{.bytes = "", .hang = true}; });
  ASSERT_TRUE(SendTo(collector.url()));
  exporter_->Offer(TraceOf(1));
  ASSERT_TRUE(TestCollector::Await([&] { return !collector.requests().empty(); }));
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 10000; ++i) exporter_->Offer(TraceOf(2));
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(3));
  EXPECT_EQ(Count("queue_full"), 20000 - static_cast<int>(TraceExporter::kMostQueued));
  const auto ends = std::chrono::steady_clock::now();
  exporter_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - ends, seconds(6)) << "the daemon's end waits";
}

TEST_F(TraceExporterTest, TriesAgainWhereTheCollectorAsksForPatience) {
  TestCollector collector([](int asked) {
    return asked == 1 ? AnswerWith(503) : asked == 2 ? AnswerWith(429) : AnswerWith(200);
  });
  ASSERT_TRUE(SendTo(collector.url()));
  exporter_->Offer(TraceOf(2));
  ASSERT_TRUE(TestCollector::Await([&] { return Count("sent") == 2; }));
  const auto requests = collector.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].body, requests[2].body);
  ASSERT_TRUE(TestCollector::Await([&] { return notices().size() == 2; }));
  EXPECT_TRUE(notices()[0].ends_with("/v1/traces: HTTP status 503")) << notices()[0];
  EXPECT_EQ(notices()[1], "traces are taken by the collector again");
}

TEST_F(TraceExporterTest, GivesUpWhereItIsRefusedOrNobodyIsThere) {
  std::atomic<int> status = 400;
  auto collector =
      std::make_unique<TestCollector>([&](int) { return AnswerWith(status.load(), "wrong"); });
  ASSERT_TRUE(SendTo(collector->url()));
  exporter_->Offer(TraceOf(2));
  ASSERT_TRUE(TestCollector::Await([&] { return Count("refused") == 2; }));
  EXPECT_EQ(collector->requests().size(), 1u);
  status = 500;
  exporter_->Offer(TraceOf(3));
  ASSERT_TRUE(TestCollector::Await([&] { return Count("refused") == 5; }));
  EXPECT_EQ(collector->requests().size(), 2u);
  collector.reset();
  exporter_->Offer(TraceOf(4));
  ASSERT_TRUE(TestCollector::Await([&] { return Count("failed") == 4; }));
  EXPECT_EQ(Count("sent"), 0);
  EXPECT_EQ(notices().size(), 1u) << "one line, however long it lasts";
}

TEST_F(TraceExporterTest, CountsWhatTheCollectorRejectsOfABatch) {
  otlp::ExportTraceServiceResponse partial;
  partial.mutable_partial_success()->set_rejected_spans(2);
  partial.mutable_partial_success()->set_error_message("too old");
  const std::string nonsense(70000, '\xff');
  TestCollector collector([&](int asked) {
    return AnswerWith(200, asked == 1 ? partial.SerializeAsString() : nonsense);
  });
  ASSERT_TRUE(SendTo(collector.url()));
  exporter_->Offer(TraceOf(5));
  ASSERT_TRUE(TestCollector::Await([&] { return Count("refused") == 2 && Count("sent") == 3; }));
  ASSERT_TRUE(TestCollector::Await([&] { return !notices().empty(); }));
  EXPECT_TRUE(notices()[0].ends_with("too old")) << notices()[0];
  exporter_->Offer(TraceOf(5));
  ASSERT_TRUE(TestCollector::Await([&] { return Count("sent") == 8; }));
}

TEST_F(TraceExporterTest, GoesElsewhereOrNowhereWhenTold) {
  TestCollector first, second;
  exporter_->Offer(TraceOf(1));
  ASSERT_TRUE(SendTo(first.url()));
  exporter_->Offer(TraceOf(2));
  ASSERT_TRUE(TestCollector::Await([&] { return first.Spans().size() == 2; }));
  ASSERT_TRUE(SendTo(second.url() + "/otlp"));
  exporter_->Offer(TraceOf(3));
  ASSERT_TRUE(TestCollector::Await([&] { return second.Spans().size() == 3; }));
  EXPECT_EQ(second.requests()[0].target, "/otlp/v1/traces");
  ASSERT_TRUE(SendTo(""));
  exporter_->Offer(TraceOf(4));
  exporter_.reset();
  EXPECT_EQ(first.Spans().size(), 2u);
  EXPECT_EQ(second.Spans().size(), 3u);
}

TEST_F(TraceExporterTest, TheLastOnesAreSentAtTheEnd) {
  TestCollector collector;
  ASSERT_TRUE(SendTo(collector.url()));
  for (int i = 0; i < 100; ++i) exporter_->Offer(TraceOf(10));
  exporter_.reset();
  EXPECT_EQ(Count("sent") + Count("queue_full"), 1000);
}

TEST_F(TraceExporterTest, FilesThatCannotBeRightAreNamedAndChangeNothing) {
  TestCollector collector;
  ASSERT_TRUE(SendTo(collector.url()));
  const TestCertificate authority = MakeAuthority("node");
  const TestCertificate one = MakeCertificate("one", authority);
  const TestCertificate other = MakeCertificate("other", authority);
  const HostPath certificate = Write("cert.pem", one.certificate);
  const HostPath key = Write("key.pem", one.key), wrong_key = Write("other.pem", other.key);
  const HostPath nothing = Write("nothing.pem", "no PEM");
  const auto refused = [&](const TracingConfig& config) {
    const auto replaced = exporter_->Replace(config);
    EXPECT_FALSE(replaced);
    return replaced ? "" : replaced.error().message;
  };
  TracingConfig config{.endpoint = "https://127.0.0.1:1", .ca = folder_ / "absent"};
  EXPECT_TRUE(refused(config).starts_with("tracing.tls.ca: open /tmp/"));
  config.ca = nothing;
  EXPECT_NE(refused(config).find("holds no certificate"), std::string::npos);
  config.ca = {};
  config.certificate = certificate;
  config.key = wrong_key;
  EXPECT_NE(refused(config).find("is not the key of"), std::string::npos);
  exporter_->Offer(TraceOf(2));
  ASSERT_TRUE(TestCollector::Await([&] { return collector.Spans().size() == 2; }));
  config.key = key;
  EXPECT_TRUE(exporter_->Replace(config));
}

}  // namespace
}  // namespace catamaran

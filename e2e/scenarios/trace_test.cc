// A call that its caller traces becomes one tree of spans, down to the guest's agent.
#include <fmt/ranges.h>

#include <set>

#include "cri/telemetry/collector_testing.h"
#include "e2e/scenarios/operate_fixture.h"

namespace catamaran::e2e {
namespace {

constexpr char kTraceId[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kOurSpan[] = "00f067aa0ba902b7";

std::string Hex(const std::string& bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

class Traces : public Operate {
 protected:
  void SetUp() override {
    Operate::SetUp();
    ASSERT_NO_FATAL_FAILURE(
        Configure("log:\n", fmt::format("tracing: {{endpoint: '{}'}}\nlog:\n", collector_.url())));
    Hangup("tracing.endpoint: (none) -> http://");
  }
  void TearDown() override {
    CallWithin("", "");
    Operate::TearDown();
  }

  // The calls from now on are of this trace, or of none.
  void CallWithin(const std::string& trace_id, const std::string& flags) {
    cri().SendAlong("traceparent",
                    trace_id.empty() ? "" : fmt::format("00-{}-{}-{}", trace_id, kOurSpan, flags));
  }
  std::vector<CollectedSpan> SpansOf(const std::string& trace_id) const {
    std::vector<CollectedSpan> spans;
    for (auto& collected : collector_.Spans())
      if (Hex(collected.span.trace_id()) == trace_id) spans.push_back(std::move(collected));
    return spans;
  }
  bool Await(const std::string& trace_id, const std::string& method) const {
    return WaitUntil([&] {
      for (const auto& collected : SpansOf(trace_id))
        if (collected.span.name().ends_with("/" + method)) return true;
      return false;
    });
  }
  // Names of a service's spans below the one with this name: "parent > child".
  static std::set<std::string> Edges(const std::vector<CollectedSpan>& spans) {
    std::map<std::string, std::string> names;
    for (const auto& [service, span] : spans)
      names[span.span_id()] = service.substr(service.find('-') + 1) + ":" + span.name();
    std::set<std::string> edges;
    for (const auto& [service, span] : spans)
      if (names.contains(span.parent_span_id()))
        edges.insert(names[span.parent_span_id()] + " > " + names[span.span_id()]);
    return edges;
  }

  TestCollector collector_;
};

TEST_P(Traces, OfAStartAreOneTreeDownToWhereContainersRun) {
  CallWithin(kTraceId, "01");
  const std::string pod = RunPod();
  const std::string container = Create(pod, ShellConfig("traced", "sleep 1000"));
  v1::StartContainerRequest start;
  start.set_container_id(container);
  ASSERT_TRUE(cri().StartContainer(start).ok());
  CallWithin("", "");
  ASSERT_TRUE(Await(kTraceId, "StartContainer"));
  const auto spans = SpansOf(kTraceId);

  std::map<std::string, CollectedSpan> by_id;
  for (const auto& collected : spans) by_id[collected.span.span_id()] = collected;
  EXPECT_EQ(by_id.size(), spans.size()) << "each has an id of its own";
  int calls = 0;
  for (const auto& [service, span] : spans) {
    if (Hex(span.parent_span_id()) == kOurSpan) {
      ++calls;
      continue;
    }
    const auto parent = by_id.find(span.parent_span_id());
    ASSERT_NE(parent, by_id.end()) << service << " " << span.name() << " hangs nowhere";
    EXPECT_GE(span.start_time_unix_nano(), parent->second.span.start_time_unix_nano())
        << service << " " << span.name();
    EXPECT_LE(span.end_time_unix_nano(), parent->second.span.end_time_unix_nano())
        << service << " " << span.name();
    EXPECT_NE(span.status().code(), otlp::SpanStatus::ERROR) << service << " " << span.name();
  }
  EXPECT_GE(calls, 3);

  const auto edges = Edges(spans);
  const auto expect = [&](const std::string& edge) {
    EXPECT_TRUE(edges.contains(edge))
        << edge << " is not in " << fmt::format("{}", fmt::join(edges, "\n"));
  };
  const std::string run = "catamaran:runtime.v1.RuntimeService/RunPodSandbox > catamaran:";
  for (const char* step : {"network", "shim", "sandbox"}) expect(run + step);
  expect("catamaran:sandbox > shim:CreateSandbox");
  expect("catamaran:create > shim:CreateContainer");
  expect("catamaran:start > shim:StartContainer");
  const std::string engine = on_vm() ? "agent:" : "shim:";
  if (on_vm()) {
    expect("shim:CreateSandbox > shim:machine");
    expect("shim:CreateSandbox > shim:agent answers");
    expect("shim:CreateSandbox > agent:CreateSandbox");
    expect("shim:CreateContainer > shim:images attached");
    expect("shim:CreateContainer > agent:CreateContainer");
    expect("shim:StartContainer > agent:StartContainer");
    expect("agent:CreateContainer > agent:images mounted");
  }
  expect(engine + "CreateSandbox > " + engine + "namespaces");
  expect(engine + "CreateContainer > " + engine + "cgroup");
  expect(engine + "CreateContainer > " + engine + "process built");

  for (const auto& collected : spans) {
    if (collected.span.name() == "machine") {
      EXPECT_EQ(collected.Attribute("start"), "restored");
    }
    if (!collected.span.name().ends_with("/StartContainer")) continue;
    EXPECT_EQ(collected.Attribute("container.id"), container);
    EXPECT_EQ(collected.Attribute("catamaran.pod.id"), pod);
    EXPECT_EQ(collected.Attribute("catamaran.handler"), GetParam());
    EXPECT_EQ(collected.Attribute("k8s.pod.name"), config_of(pod).metadata().name());
    EXPECT_EQ(collected.Attribute("rpc.grpc.status_code"), "0");
  }
  ExpectHas(DaemonLog(), " trace=" + std::string(kTraceId));
}

TEST_P(Traces, FollowTheCallersDecisionAndShowFailures) {
  const std::string unsampled = "11111111111111111111111111111111";
  const std::string failing = "22222222222222222222222222222222";
  CallWithin(unsampled, "00");
  const std::string pod = RunPod();
  CallWithin("", "");
  const std::string broken = Create(pod, ContainerConfig("broken", {"/absent/program"}));
  CallWithin(failing, "01");
  v1::StartContainerRequest start;
  start.set_container_id(broken);
  EXPECT_FALSE(cri().StartContainer(start).ok());
  ASSERT_TRUE(Await(failing, "StartContainer"));
  std::set<std::string> failed;
  for (const auto& [service, span] : SpansOf(failing))
    if (span.status().code() == otlp::SpanStatus::ERROR) failed.insert(span.name());
  EXPECT_TRUE(failed.contains("runtime.v1.RuntimeService/StartContainer"));
  EXPECT_TRUE(failed.contains("start"));
  EXPECT_TRUE(failed.contains("StartContainer")) << "in shim and agent";
  EXPECT_TRUE(SpansOf(unsampled).empty());
  EXPECT_EQ(collector_.Spans().size(), SpansOf(failing).size());
}

TEST_P(Traces, ACollectorThatHangsSlowsNoCallDown) {
  TestCollector hanging([](int) { return TestServer::Answer{.hang = true}; });
  ASSERT_NO_FATAL_FAILURE(
      Configure("log:\n", fmt::format("tracing: {{endpoint: '{}'}}\nlog:\n", hanging.url())));
  Hangup("tracing.endpoint: http://");
  CallWithin(kTraceId, "01");
  const std::string pod = RunPod();
  EXPECT_TRUE(WaitUntil([&] { return !hanging.requests().empty(); }));
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(cri().ListPodSandbox({}).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
  EXPECT_FALSE(StartSleeper(pod).empty());
}

CATAMARAN_ON_EVERY_HANDLER(Traces);

}  // namespace
}  // namespace catamaran::e2e

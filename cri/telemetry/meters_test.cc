#include "cri/telemetry/meters.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "cri/telemetry/calls_in_flight.h"
#include "cri/telemetry/process_memory.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;

bool Has(const Meters& meters, const std::string& line) {
  return ("\n" + meters.Text({})).find("\n" + line + "\n") != std::string::npos;
}

TEST(Meters, CountCallsByMethodAndHandlerAndErrorsByCode) {
  Meters meters;
  const Error error{ErrorCode::kNotFound, 0, "no \"such\" pod"};
  meters.CallEnded("RunPodSandbox", "ns", milliseconds(20), nullptr);
  meters.CallEnded("RunPodSandbox", "ns", milliseconds(200), &error);
  meters.CallEnded("ListPodSandbox", "", milliseconds(1), nullptr);
  const std::string text = meters.Text({});
  for (
      const char* line : {
          R"(catamaran_rpc_duration_seconds_count{handler="ns",method="RunPodSandbox"} 2)",
          R"(catamaran_rpc_duration_seconds_sum{handler="ns",method="RunPodSandbox"} 0.22)",
          R"(catamaran_rpc_duration_seconds_bucket{handler="ns",method="RunPodSandbox",le="0.025"} 1)",
          R"(catamaran_rpc_duration_seconds_bucket{handler="ns",method="RunPodSandbox",le="+Inf"} 2)",
          R"(catamaran_rpc_duration_seconds_count{handler="",method="ListPodSandbox"} 1)",
          R"(catamaran_rpc_errors_total{code="NOT_FOUND",handler="ns",method="RunPodSandbox"} 1)",
      })
    EXPECT_TRUE(Has(meters, line)) << line << "\n" << text;
  EXPECT_EQ(text.find("such"), std::string::npos) << "an error's text is no label";
}

TEST(Meters, CountWhatHappensToPodsAndImages) {
  Meters meters;
  const Error error{ErrorCode::kUnavailable, 0, "gone"};
  meters.StepTook("vm", "network", milliseconds(4));
  meters.MachineStarted("vm", "restored", true);
  meters.PullEnded(milliseconds(700), nullptr);
  meters.PullEnded(milliseconds(10), &error);
  meters.PullReceived(1000);
  meters.PullReceived(24);
  meters.LeakFound("cgroup", true);
  meters.ReloadEnded(false);
  for (const char* line : {
           R"(catamaran_start_step_duration_seconds_count{handler="vm",step="network"} 1)",
           R"(catamaran_machines_started_total{from_pool="true",handler="vm",start="restored"} 1)",
           R"(catamaran_image_pull_duration_seconds_count 2)",
           R"(catamaran_image_pull_errors_total{code="UNAVAILABLE"} 1)",
           R"(catamaran_image_pull_bytes_total 1024)",
           R"(catamaran_leaks_found_total{kind="cgroup",swept="true"} 1)",
           R"(catamaran_leaks_found_total{kind="cgroup",swept="false"} 0)",
           R"(catamaran_config_reloads_total{result="refused"} 1)",
           R"(catamaran_config_reloads_total{result="applied"} 0)",
       })
    EXPECT_TRUE(Has(meters, line)) << line << "\n" << meters.Text({});
}

TEST(Meters, ShowGaugesBesideTheCounters) {
  const std::string text = Meters().Text(
      {{"catamaran_pods", "Pods", {{{{"handler", "ns"}, {"state", "READY"}}, 3}, {{}, 0.5}}},
       {"catamaran_pool_events_total", "Events", {{{}, 2}}, GaugeFamily::Kind::kCounter}});
  EXPECT_NE(text.find("# TYPE catamaran_pods gauge\n"
                      "catamaran_pods{handler=\"ns\",state=\"READY\"} 3\n"
                      "catamaran_pods 0.5\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("# TYPE catamaran_pool_events_total counter\ncatamaran_pool_events_total 2"),
            std::string::npos)
      << text;
}

TEST(Meters, CountFromManyThreadsAtOnce) {
  Meters meters;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&meters, i] {
      for (int j = 0; j < 1000; ++j)
        meters.CallEnded("M" + std::to_string(i % 2), "ns", milliseconds(1), nullptr);
    });
  for (std::thread& thread : threads) thread.join();
  for (const char* method : {"M0", "M1"})
    EXPECT_TRUE(Has(meters, fmt::format("catamaran_rpc_duration_seconds_count{{handler=\"ns\","
                                        "method=\"{}\"}} 4000",
                                        method)));
}

TEST(CallsInFlight, AreListedForAsLongAsTheyLastWithWhatTheyAreAt) {
  CallsInFlight calls;
  EXPECT_EQ(calls.Json(), "[]");
  {
    CallsInFlight::Entry first(calls, {.method = "RunPodSandbox", .pod = "default/web"});
    const CallsInFlight::Entry second(calls, {.method = "ListPodSandbox"});
    first.SetStep("network");
    const auto list = calls.List();
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(list[0].method, "RunPodSandbox");
    EXPECT_EQ(list[0].step, "network");
    EXPECT_GE(list[0].step_began, list[0].began);
    EXPECT_NE(calls.Json().find(R"("pod":"default/web","step":"network")"), std::string::npos)
        << calls.Json();
  }
  EXPECT_TRUE(calls.List().empty());
}

TEST(ProcessMemory, IsWhatNobodyShares) {
  const auto before = PrivateMemoryOf(getpid());
  ASSERT_TRUE(before) << before.error().message;
  EXPECT_GT(*before, 100'000u);
  constexpr size_t kSize = 32 << 20;
  void* memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  memset(memory, 1, kSize);
  const auto after = PrivateMemoryOf(getpid());
  munmap(memory, kSize);
  ASSERT_TRUE(after);
  EXPECT_GE(*after, *before + kSize - (1 << 20));
  EXPECT_FALSE(PrivateMemoryOf(0x3fffffff));
}

}  // namespace
}  // namespace catamaran

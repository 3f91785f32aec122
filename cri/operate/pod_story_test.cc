#include "cri/operate/pod_story.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace catamaran {
namespace {

namespace v1 = ::runtime::v1;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kStart = 1'700'000'000'000 * kMs;

// A pod that was made in 30 ms, and whose container was asked for 2 s later.
v1::PodSandboxStatusResponse Web() {
  v1::PodSandboxStatusResponse response;
  auto* status = response.mutable_status();
  status->set_id("0123456789abcdef0123");
  status->mutable_metadata()->set_name("web");
  status->mutable_metadata()->set_namespace_("shop");
  status->set_state(v1::SANDBOX_READY);
  status->set_created_at(kStart);
  const auto step = [](const char* name, int64_t at, int64_t took) {
    return fmt::format(R"({{"step":"{}","started_at_ns":{},"duration_ns":{}}})", name,
                       kStart + at * kMs, took * kMs);
  };
  (*response.mutable_info())["info"] = fmt::format(
      R"({{"handler":"vm","shimConnected":true,"details":{{"start":"restored","restored_ms":"11"}},
          "timeline":[{},{}],"containers":{{"c1":{{"name":"main","timeline":[{},{}]}}}}}})",
      step("network", 0, 10), step("sandbox", 11, 19), step("create", 2030, 40),
      step("start", 2071, 5));
  auto* container = response.add_containers_statuses();
  container->set_id("c1");
  container->mutable_metadata()->set_name("main");
  container->set_state(v1::CONTAINER_RUNNING);
  container->set_started_at(kStart + 2076 * kMs);
  return response;
}

std::string Tell(v1::PodSandboxStatusResponse status, std::vector<CallFact> calls = {}) {
  return TellPod({.status = std::move(status),
                  .calls = std::move(calls),
                  .now = nanoseconds(kStart) + seconds(75)});
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(StepsOf, HaveThePausesBetweenThem) {
  const auto steps = StepsOf(Web());
  std::string text;
  for (const StartStep& step : steps)
    text += fmt::format("{}.{} {}\n", step.of, step.name, step.took.count() / kMs);
  EXPECT_EQ(text,
            ".network 10\n.sandbox 19\nmain.(asked later) 2000\nmain.create 40\nmain.start 5\n");
  EXPECT_EQ(TotalOf(steps), milliseconds(74));
}

TEST(StepsOf, AContainerThatCameMuchLaterIsNoPause) {
  auto status = Web();
  auto& info = (*status.mutable_info())["info"];
  const std::string late = std::to_string(kStart + 2030 * kMs);
  info.replace(info.find(late), late.size(), std::to_string(kStart + 4'000'000 * kMs));
  for (const StartStep& step : StepsOf(status)) EXPECT_NE(step.name, kWaiting) << step.took.count();
}

TEST(StepsOf, OfARuntimeThatTellsNothingThereAreNone) {
  v1::PodSandboxStatusResponse status;
  EXPECT_TRUE(StepsOf(status).empty());
  (*status.mutable_info())["info"] = "[1, {";
  EXPECT_TRUE(StepsOf(status).empty());
  (*status.mutable_info())["info"] = R"({"timeline": [1, {"step": 2}], "containers": []})";
  EXPECT_EQ(StepsOf(status).size(), 1u);
  EXPECT_TRUE(Has(Tell(status), "Its start was spent on\n"));
}

TEST(TellPod, ThatRunsItWaitsForNothing) {
  const std::string text = Tell(Web());
  EXPECT_TRUE(Has(text, "shop/web  (sandbox 0123456789abc, handler vm, ready for 1m15s)")) << text;
  EXPECT_TRUE(Has(text, "It waits for\n  nothing\n")) << text;
  EXPECT_TRUE(Has(text, "main: running for 1m12s")) << text;
  EXPECT_TRUE(Has(text, "machine: restored from a template in 11 ms")) << text;
  EXPECT_TRUE(Has(text, "  pod                  network             10 ms  #######\n")) << text;
  EXPECT_TRUE(Has(text, "  main                 (asked later)       2.0 s  \n")) << text;
  EXPECT_TRUE(Has(text, "  in all                                   74 ms\n")) << text;
}

TEST(TellPod, OfAMachineThatBootedSaysWhyItWasNoClone) {
  auto status = Web();
  auto& info = (*status.mutable_info())["info"];
  const std::string restored = R"("start":"restored","restored_ms":"11")";
  info.replace(info.find(restored), restored.size(),
               R"("start":"booted","template":"switched off")");
  const std::string text = Tell(status);
  EXPECT_TRUE(Has(text, "machine: booted, template: switched off\n")) << text;
}

TEST(TellPod, NamesTheCallAndTheStepThatHang) {
  const std::string text =
      Tell(Web(), {{"StartContainer", "", "c1", "", "start", seconds(12), seconds(11)},
                   {"PullImage", "shop/web", "", "r.test/app:1", "", seconds(41), seconds(41)},
                   {"PodSandboxStatus", "0123456789abcdef0123", "", "", "", {}, {}},
                   {"StopPodSandbox", "another", "", "", "", seconds(9), seconds(9)}});
  EXPECT_TRUE(Has(text, "StartContainer (container c1): for 12.0 s, at step \"start\" for 11.0 s"))
      << text;
  EXPECT_TRUE(Has(text, "PullImage of r.test/app:1: for 41.0 s")) << text;
  EXPECT_FALSE(Has(text, "PodSandboxStatus")) << text;
  EXPECT_FALSE(Has(text, "StopPodSandbox")) << text;
}

TEST(TellPod, SaysThatTheKubeletsTurnItIs) {
  auto status = Web();
  auto* container = status.mutable_containers_statuses(0);
  container->set_state(v1::CONTAINER_CREATED);
  container->set_created_at(kStart + 15'000 * kMs);
  EXPECT_TRUE(Has(Tell(status), "the kubelet, to start container main, created 1m00s ago"));
  status.clear_containers_statuses();
  EXPECT_TRUE(Has(Tell(status), "the kubelet, to create its containers"));
}

TEST(TellPod, SaysWhyItIsNotReadyAndHowContainersEnded) {
  auto status = Web();
  status.mutable_status()->set_state(v1::SANDBOX_NOTREADY);
  (*status.mutable_info())["info"] = R"({"reason":"ShimGone","message":"its shim was killed"})";
  auto* container = status.mutable_containers_statuses(0);
  container->set_state(v1::CONTAINER_EXITED);
  container->set_finished_at(kStart + 70'000 * kMs);
  container->set_exit_code(137);
  container->set_reason("OOMKilled");
  const std::string text = Tell(status);
  EXPECT_TRUE(Has(text, "NOT READY")) << text;
  EXPECT_TRUE(Has(text, "ShimGone: its shim was killed")) << text;
  EXPECT_TRUE(Has(text, "main: ended 5.0 s ago with code 137 (OOMKilled)")) << text;
}

TEST(TellPodInTheMaking, SaysWhatMakesIt) {
  const std::vector<CallFact> calls{
      {"RunPodSandbox", "shop/web", "", "", "network", seconds(3), milliseconds(2900)}};
  for (const char* name : {"web", "shop/web"})
    EXPECT_TRUE(Has(TellPodInTheMaking(name, calls),
                    "RunPodSandbox: for 3.0 s, at step \"network\" for 2.9 s"));
  EXPECT_EQ(TellPodInTheMaking("shop", calls), "");
}

TEST(TellNode, SaysWhatIsInFlightAndWrong) {
  EXPECT_EQ(TellNode({}, {}), "In flight\n  nothing\n\nNot as it should be\n  nothing\n");
  EXPECT_TRUE(
      Has(TellNode({{"StopContainer", "", "c1", "", "", seconds(2), {}}}, {"x is false"}),
          "  StopContainer (container c1): for 2.0 s\n\nNot as it should be\n  x is false"));
}

TEST(CallsOf, AreReadFromTheVerboseStatus) {
  v1::StatusResponse status;
  EXPECT_TRUE(CallsOf(status).empty());
  (*status.mutable_info())["calls"] =
      R"([{"method":"M","pod":"a/b","container":"c","image":"i","step":"s","ms":5,"stepMs":3}, 7])";
  const auto calls = CallsOf(status);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].pod, "a/b");
  EXPECT_EQ(calls[0].step_age, milliseconds(3));
}

TEST(ShowDuration, IsShortAndPlain) {
  for (const auto& [duration, shown] :
       std::vector<std::pair<nanoseconds, std::string>>{{nanoseconds(-5), "0.0 ms"},
                                                        {milliseconds(9), "9.0 ms"},
                                                        {milliseconds(212), "212 ms"},
                                                        {milliseconds(2500), "2.5 s"},
                                                        {seconds(192), "3m12s"},
                                                        {seconds(14'700), "4h05m"},
                                                        {std::chrono::hours(75), "3d03h"}})
    EXPECT_EQ(ShowDuration(duration), shown);
}

}  // namespace
}  // namespace catamaran

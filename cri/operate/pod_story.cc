#include "cri/operate/pod_story.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace catamaran {
namespace {

namespace v1 = ::runtime::v1;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// A shorter pause is the daemon's own bookkeeping between two steps.
constexpr milliseconds kPause{5};
// Later than this after its pod a container is one that was restarted, or of another time.
constexpr seconds kSameStart{600};
constexpr int kBar = 30;

json InfoOf(const v1::PodSandboxStatusResponse& status) {
  const auto found = status.info().find("info");
  if (found == status.info().end()) return json::object();
  json info = json::parse(found->second, nullptr, false);
  return info.is_object() ? info : json::object();
}

std::string TextOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}
int64_t NumberOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<int64_t>() : 0;
}

std::vector<StartStep> ReadSteps(const json& object, const std::string& of) {
  std::vector<StartStep> steps;
  const auto timeline = object.find("timeline");
  if (timeline == object.end() || !timeline->is_array()) return steps;
  for (const json& step : *timeline) {
    if (!step.is_object()) continue;
    steps.push_back({of, TextOf(step, "step"), nanoseconds(NumberOf(step, "started_at_ns")),
                     nanoseconds(NumberOf(step, "duration_ns"))});
  }
  return steps;
}

std::string CallLine(const CallFact& call) {
  std::string line = call.method;
  if (!call.image.empty() && call.method == "PullImage") line += " of " + call.image;
  if (!call.container.empty()) line += " (container " + call.container.substr(0, 20) + ")";
  line += ": for " + ShowDuration(call.age);
  if (!call.step.empty())
    line += fmt::format(", at step \"{}\" for {}", call.step, ShowDuration(call.step_age));
  return line;
}

bool IsOf(const CallFact& call, const PodStory& story) {
  const v1::PodSandboxStatus& pod = story.status.status();
  if (call.pod == pod.id() || call.pod == NameOf(pod.metadata())) return true;
  return std::any_of(story.status.containers_statuses().begin(),
                     story.status.containers_statuses().end(),
                     [&](const v1::ContainerStatus& one) { return one.id() == call.container; });
}

// What takes no time is not waited for, nor is what asks.
bool IsWork(const CallFact& call) {
  for (const char* asks : {"Status", "Stats", "Metrics", "Info"})
    if (call.method.ends_with(asks)) return false;
  return !call.method.starts_with("List") && !call.method.starts_with("Stream") &&
         !call.method.starts_with("Get") && call.method != "Version";
}

std::vector<std::string> WaitsFor(const PodStory& story, const json& info) {
  std::vector<std::string> lines;
  for (const CallFact& call : story.calls)
    if (IsWork(call) && IsOf(call, story)) lines.push_back(CallLine(call));
  const v1::PodSandboxStatus& pod = story.status.status();
  if (pod.state() != v1::SANDBOX_READY) {
    std::string why = "the kubelet, to remove it: the sandbox is not ready";
    const std::string reason = TextOf(info, "reason"), message = TextOf(info, "message");
    if (!reason.empty()) why += ", " + reason;
    if (!message.empty()) why += ": " + message;
    lines.push_back(why);
    return lines;
  }
  if (info.contains("shimConnected") && info["shimConnected"] == false)
    lines.push_back("its shim, which lives but does not answer");
  if (story.status.containers_statuses().empty() && lines.empty())
    lines.push_back("the kubelet, to create its containers");
  for (const v1::ContainerStatus& container : story.status.containers_statuses()) {
    if (container.state() != v1::CONTAINER_CREATED) continue;
    const bool starting =
        std::any_of(story.calls.begin(), story.calls.end(), [&](const CallFact& call) {
          return call.method == "StartContainer" && call.container == container.id();
        });
    if (starting) continue;
    lines.push_back(fmt::format("the kubelet, to start container {}, created {} ago",
                                container.metadata().name(),
                                ShowDuration(story.now - nanoseconds(container.created_at()))));
  }
  for (const std::string& trouble : story.node_troubles) lines.push_back("the node: " + trouble);
  return lines;
}

std::string StepTable(const std::vector<StartStep>& steps) {
  if (steps.empty()) return "  nothing is recorded\n";
  nanoseconds longest{1};  // of ours: a pause is somebody else's, and mostly longer than all
  for (const StartStep& step : steps)
    if (step.name != kWaiting) longest = std::max(longest, step.took);
  std::string text, of = "?";
  for (const StartStep& step : steps) {
    const bool pause = step.name == kWaiting;
    const auto bar = pause ? 0 : static_cast<size_t>(step.took.count() * kBar / longest.count());
    text += fmt::format("  {:<20.20} {:<14} {:>10}  {}\n",
                        step.of == of     ? ""
                        : step.of.empty() ? "pod"
                                          : step.of,
                        step.name, ShowDuration(step.took), std::string(bar, '#'));
    of = step.of;
  }
  text += fmt::format("  {:<20} {:<14} {:>10}\n", "in all", "", ShowDuration(TotalOf(steps)));
  return text;
}

std::string ContainerLine(const v1::ContainerStatus& container, nanoseconds now) {
  const std::string& name = container.metadata().name();
  switch (container.state()) {
    case v1::CONTAINER_CREATED:
      return fmt::format("{}: created, never started", name);
    case v1::CONTAINER_RUNNING:
      return fmt::format("{}: running for {}", name,
                         ShowDuration(now - nanoseconds(container.started_at())));
    case v1::CONTAINER_EXITED:
      break;
    default:
      return fmt::format("{}: unknown, its shim does not answer", name);
  }
  std::string line =
      fmt::format("{}: ended {} ago with code {}", name,
                  ShowDuration(now - nanoseconds(container.finished_at())), container.exit_code());
  if (!container.reason().empty()) line += " (" + container.reason() + ")";
  if (!container.message().empty()) line += ": " + container.message();
  return line;
}

std::string MachineLine(const json& info) {
  const auto found = info.find("details");
  if (found == info.end() || !found->is_object() || TextOf(*found, "start").empty()) return "";
  std::string line = "machine: " + TextOf(*found, "start");
  if (!TextOf(*found, "restored_ms").empty())
    line += " from a template in " + TextOf(*found, "restored_ms") + " ms";
  if (!TextOf(*found, "pool_waited_ms").empty()) line += ", taken from the pool";
  if (TextOf(*found, "start") == "booted" && !TextOf(*found, "template").empty())
    line += ", template: " + TextOf(*found, "template");
  return line;
}

std::string Bullets(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "  " + line + "\n";
  return text;
}

}  // namespace

std::string NameOf(const v1::PodSandboxMetadata& metadata) {
  return metadata.namespace_() + "/" + metadata.name();
}

std::string HandlerOf(const v1::PodSandboxStatusResponse& status) {
  return TextOf(InfoOf(status), "handler");
}

std::vector<CallFact> CallsOf(const v1::StatusResponse& status) {
  std::vector<CallFact> calls;
  const auto found = status.info().find("calls");
  if (found == status.info().end()) return calls;
  const json list = json::parse(found->second, nullptr, false);
  if (!list.is_array()) return calls;
  for (const json& call : list) {
    if (!call.is_object()) continue;
    calls.push_back({TextOf(call, "method"), TextOf(call, "pod"), TextOf(call, "container"),
                     TextOf(call, "image"), TextOf(call, "step"),
                     milliseconds(NumberOf(call, "ms")), milliseconds(NumberOf(call, "stepMs"))});
  }
  return calls;
}

std::vector<StartStep> StepsOf(const v1::PodSandboxStatusResponse& status) {
  const json info = InfoOf(status);
  std::vector<StartStep> all = ReadSteps(info, "");
  const nanoseconds pod_end = all.empty() ? nanoseconds(0) : all.back().began + all.back().took;
  std::vector<std::vector<StartStep>> containers;
  const auto found = info.find("containers");
  if (found != info.end() && found->is_object())
    for (const json& container : *found)
      containers.push_back(ReadSteps(container, TextOf(container, "name")));
  std::erase_if(containers, [](const auto& steps) { return steps.empty(); });
  std::sort(containers.begin(), containers.end(),
            [](const auto& a, const auto& b) { return a.front().began < b.front().began; });
  nanoseconds end = pod_end;
  for (const auto& steps : containers) {
    for (const StartStep& step : steps) {
      const nanoseconds pause = step.began - end;
      if (end.count() > 0 && pause >= kPause && step.began - pod_end < kSameStart)
        all.push_back({step.of, kWaiting, end, pause});
      all.push_back(step);
      end = std::max(end, step.began + step.took);
    }
  }
  return all;
}

nanoseconds TotalOf(const std::vector<StartStep>& steps) {
  nanoseconds total{0};
  for (const StartStep& step : steps)
    if (step.name != kWaiting) total += step.took;
  return total;
}

std::string TellPod(const PodStory& story) {
  const v1::PodSandboxStatus& pod = story.status.status();
  const json info = InfoOf(story.status);
  std::string text = fmt::format(
      "{}  (sandbox {}, handler {}, {} for {})\n\n", NameOf(pod.metadata()), pod.id().substr(0, 13),
      TextOf(info, "handler"), pod.state() == v1::SANDBOX_READY ? "ready" : "NOT READY",
      ShowDuration(story.now - nanoseconds(pod.created_at())));
  const auto waits = WaitsFor(story, info);
  text += "It waits for\n";
  text += waits.empty() ? "  nothing\n" : Bullets(waits);
  std::vector<std::string> lines;
  for (const v1::ContainerStatus& container : story.status.containers_statuses())
    lines.push_back(ContainerLine(container, story.now));
  if (const std::string machine = MachineLine(info); !machine.empty()) lines.push_back(machine);
  if (!lines.empty()) text += "\nIt has\n" + Bullets(lines);
  return text + "\nIts start was spent on\n" + StepTable(StepsOf(story.status));
}

std::string TellPodInTheMaking(const std::string& name, const std::vector<CallFact>& calls) {
  std::vector<std::string> lines;
  for (const CallFact& call : calls) {
    const size_t slash = call.pod.find('/');
    if (slash == std::string::npos || !IsWork(call)) continue;
    if (call.pod == name || call.pod.substr(slash + 1) == name) lines.push_back(CallLine(call));
  }
  if (lines.empty()) return "";
  return name + "  (no sandbox yet)\n\nIt waits for\n" + Bullets(lines);
}

std::string TellNode(const std::vector<CallFact>& calls, const std::vector<std::string>& troubles) {
  std::vector<std::string> lines;
  for (const CallFact& call : calls) {
    if (!IsWork(call)) continue;
    const std::string pod =
        call.pod.find('/') == std::string::npos ? call.pod.substr(0, 13) : call.pod;
    lines.push_back(pod.empty() ? CallLine(call) : pod + ": " + CallLine(call));
  }
  std::string text = "In flight\n" + (lines.empty() ? "  nothing\n" : Bullets(lines));
  return text + "\nNot as it should be\n" + (troubles.empty() ? "  nothing\n" : Bullets(troubles));
}

std::string ShowDuration(nanoseconds duration) {
  const double milliseconds = std::max(0.0, static_cast<double>(duration.count()) / 1e6);
  if (milliseconds < 10) return fmt::format("{:.1f} ms", milliseconds);
  if (milliseconds < 1000) return fmt::format("{:.0f} ms", milliseconds);
  if (milliseconds < 60'000) return fmt::format("{:.1f} s", milliseconds / 1000);
  const auto whole = static_cast<int64_t>(milliseconds / 1000);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 48 * 3600) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  return fmt::format("{}d{:02}h", whole / 86400, whole / 3600 % 24);
}

}  // namespace catamaran

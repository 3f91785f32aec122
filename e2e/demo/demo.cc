// `./dev demo`: one pod on every hull, side by side, from a daemon, an image, a network and cgroups
// that exist for this one run. What a hull cannot do is shown as what it said, never made up.
#include <sys/utsname.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "e2e/harness/leaks.h"
#include "e2e/harness/plain_pod.h"
#include "e2e/harness/test_image.h"
#include "e2e/harness/world.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

using nlohmann::json;
constexpr int kColumn = 46;

// What one hull's pod showed: row name to value.
using Facts = std::map<std::string, std::string>;

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string Show(const Result<std::string>& result) {
  return result ? FirstLine(*result) : "failed: " + result.error().message;
}

void AppendSteps(const json& steps, std::string& text) {
  for (const json& step : steps) {
    if (!text.empty()) text += " + ";
    text += fmt::format("{} {:.0f}", step.value("step", "?"),
                        step.value("duration_ns", int64_t{0}) / 1e6);
  }
}

// "image 3 + network 20 + ... ms" from the verbose status.
std::string Timeline(const json& info) {
  std::string text;
  AppendSteps(info.value("timeline", json::array()), text);
  const json containers = info.value("containers", json::object());
  for (const json& container : containers) {
    AppendSteps(container.value("timeline", json::array()), text);
  }
  return text.empty() ? "not reported" : text + " ms";
}

std::string Details(const json& info) {
  std::string text;
  const json details = info.value("details", json::object());
  for (const char* key : {"launcher", "accelerator", "start"}) {
    if (!details.contains(key)) continue;
    if (!text.empty()) text += ", ";
    text += details.value(key, "");
  }
  return text;
}

std::string LogLine(const PlainPod& pod) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto log = ReadFile(pod.log_file());
    if (log && log->find('\n') != std::string::npos) return FirstLine(*log);
    usleep(50'000);
  }
  return "no line within 5 s";
}

void ReadFacts(PlainPod& pod, Facts& facts) {
  facts["handler"] = pod.options().handler;
  facts["uname -r"] = Show(pod.Output({"/bin/uname", "-r"}));
  facts["hostname"] = Show(pod.Output({"/bin/hostname"}));
  auto uptime = pod.Output({"/bin/cat", "/proc/uptime"});
  facts["uptime of the kernel"] =
      uptime ? uptime->substr(0, uptime->find(' ')) + " s" : Show(uptime);
  facts["log"] = LogLine(pod);
  auto status = pod.VerboseStatus();
  if (status) {
    facts["IP"] = status->status().network().ip();
    const auto info = status->info().find("info");
    const json parsed = info == status->info().end()
                            ? json::object()
                            : json::parse(info->second, nullptr, /*allow_exceptions=*/false);
    if (parsed.is_object()) {
      facts["start"] = Timeline(parsed);
      facts["machine"] = Details(parsed);
    }
  }
  auto stats = pod.Stats();
  facts["memory"] =
      stats ? fmt::format("{:.1f} MiB", stats->linux().memory().usage_bytes().value() / 1048576.0)
            : "failed: " + stats.error().message;
}

std::string Ping(PlainPod& from, const Facts& to) {
  auto output = from.Output({"/bin/ping", "-c", "1", "-W", "10", to.at("IP")});
  if (!output) return Show(output);
  const size_t time = output->find("time=");
  const std::string answer = time == std::string::npos ? *output : output->substr(time + 5);
  return fmt::format("{} answers in {}", to.at("IP"), FirstLine(answer));
}

// Long values go on in the next line of their column.
void PrintRow(const std::string& name, std::vector<std::string> cells) {
  std::string label = name;
  for (bool more = true; more;) {
    more = false;
    printf("  %-21s", label.c_str());
    for (std::string& cell : cells) {
      size_t cut = cell.size();
      if (cut > kColumn - 2) {
        cut = cell.rfind(' ', kColumn - 2);
        if (cut == std::string::npos || cut == 0) cut = kColumn - 2;
      }
      printf("%-*s", kColumn, cell.substr(0, cut).c_str());
      cell.erase(0, cut);
      if (!cell.empty() && cell.front() == ' ') cell.erase(0, 1);
      more = more || !cell.empty();
    }
    printf("\n");
    label.clear();
  }
}

struct Hull {
  std::unique_ptr<PlainPod> pod;
  Facts facts;
  std::string failure;
};

Status StartOn(World& world, const std::string& handler, Hull& hull) {
  hull.pod = std::make_unique<PlainPod>(
      world.cri(), PlainPod::Options{handler,
                                     "demo-" + handler,
                                     kImage,
                                     {"/bin/sh", "-c",
                                      "echo hello from $(hostname), Linux $(uname -r); "
                                      "while :; do sleep 1000; done"},
                                     world.NewFolder(handler)});
  RETURN_IF_ERROR(hull.pod->Run());
  RETURN_IF_ERROR(hull.pod->Create());
  return hull.pod->Start();
}

int ShowSideBySide(std::map<std::string, Hull>& hulls) {
  int missing = 0;
  std::vector<Hull*> shown;
  for (auto& [name, hull] : hulls) {
    if (hull.failure.empty()) {
      shown.push_back(&hull);
    } else {
      ++missing;
    }
  }
  if (shown.size() == 2) {
    shown[0]->facts["ping"] = Ping(*shown[0]->pod, shown[1]->facts);
    shown[1]->facts["ping"] = Ping(*shown[1]->pod, shown[0]->facts);
  }
  printf("\n");
  for (const char* row : {"handler", "uname -r", "hostname", "IP", "uptime of the kernel", "ping",
                          "log", "start", "machine", "memory"}) {
    std::vector<std::string> cells;
    for (Hull* hull : shown) cells.push_back(hull->facts[row]);
    if (std::any_of(cells.begin(), cells.end(), [](auto& cell) { return !cell.empty(); })) {
      PrintRow(row, cells);
    }
  }
  utsname host{};
  uname(&host);
  printf("\n  This host runs Linux %s.\n", host.release);
  for (auto& [name, hull] : hulls) {
    if (!hull.failure.empty()) printf("  No pod on '%s': %s\n", name.c_str(), hull.failure.c_str());
  }
  return missing;
}

// The first machine of a kind boots; the next is cloned from the template that this one left.
void WaitForTemplate(const Hull& hull) {
  const auto machine = hull.facts.find("machine");
  if (machine == hull.facts.end() || machine->second.find("booted") == std::string::npos) return;
  printf("\n==> saving the booted machine as a template: the next VM starts from it\n");
  fflush(stdout);
  const auto saved = [] {
    const auto names = ListDirectory(TemplateFolder());
    return names && std::any_of(names->begin(), names->end(),
                                [](const std::string& name) { return !name.ends_with(".new"); });
  };
  for (int second = 0; second < 60 && !saved(); ++second) sleep(1);
}

int RunDemo(const WorldPaths& paths) {
  World world(paths);
  auto fail = [](const Error& error) {
    fprintf(stderr, "demo: %s\n", error.message.c_str());
    return 1;
  };
  printf("==> starting catamaran serve in %s\n", paths.base.c_str());
  if (auto started = world.Start(); !started) return fail(started.error());
  printf("==> making and loading an image of Debian's busybox\n");
  if (auto loaded = world.LoadTestImage(); !loaded) return fail(loaded.error());
  const Snapshot before = world.TakeSnapshot();

  std::map<std::string, Hull> hulls;
  for (const std::string handler : {"ns", "vm"}) {
    printf("==> starting a pod on %s\n", handler.c_str());
    fflush(stdout);
    Hull& hull = hulls[handler];
    auto started = StartOn(world, handler, hull);
    if (!started) {
      hull.failure = started.error().message;
    } else {
      ReadFacts(*hull.pod, hull.facts);
    }
  }
  int failures = ShowSideBySide(hulls);
  WaitForTemplate(hulls["vm"]);

  for (auto& [name, hull] : hulls) {
    if (auto removed = hull.pod->StopAndRemove(); !removed) ++failures;
  }
  const auto left = DifferencesAfterSettling(
      before, [&] { return world.TakeSnapshot(); }, std::chrono::seconds(20));
  printf("\n==> cleaned up: %s\n", left.empty() ? "nothing is left behind" : "left behind:");
  for (const std::string& line : left) printf("  %s\n", line.c_str());
  if (world.daemon().Terminate() != 0) ++failures;
  if (failures != 0) {
    auto log = ReadFile(paths.base + "/daemon.log");
    if (log) printf("---- the daemon's log\n%s", log->c_str());
  }
  return failures == 0 && left.empty() ? 0 : 1;
}

}  // namespace
}  // namespace catamaran::e2e

int main() {
  using namespace catamaran::e2e;
  const WorldPaths paths = MakeWorldPaths("catamaran-demo");
  return RunInPrivateWorld(paths, [&] { return RunDemo(paths); });
}

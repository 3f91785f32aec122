// `./dev bench`: what starting a pod costs, stage by stage. Drives any CRI endpoint; without one it
// starts a daemon of its own in a private world. Handlers take turns in one run, because only
// numbers of the same minutes can be compared.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>

#include "e2e/harness/plain_pod.h"
#include "e2e/harness/world.h"

namespace catamaran::e2e {
namespace {

using Clock = std::chrono::steady_clock;

struct Flags {
  std::string endpoint;  // empty: a daemon of our own
  std::string image = kImage;
  std::vector<std::string> handlers = {"ns", "vm"};
  int pods = 20;
};

// Stage name to milliseconds of each pod, per handler.
using Samples = std::map<std::string, std::vector<double>>;
constexpr const char* kStages[] = {"run", "create", "start", "pod start", "exec", "stop+remove"};

Status Timed(std::vector<double>& samples, const std::function<Status()>& step) {
  const auto start = Clock::now();
  RETURN_IF_ERROR(step());
  samples.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  return {};
}

Status MeasureOne(CriClient& cri, const Flags& flags, const std::string& handler, int number,
                  const std::string& logs, Samples& samples) {
  PlainPod pod(cri, {handler,
                     "bench-" + handler + "-" + std::to_string(number),
                     flags.image,
                     {"/bin/sh", "-c", "while :; do sleep 1000; done"},
                     logs});
  RETURN_IF_ERROR(Timed(samples["run"], [&] { return pod.Run(); }));
  RETURN_IF_ERROR(Timed(samples["create"], [&] { return pod.Create(); }));
  RETURN_IF_ERROR(Timed(samples["start"], [&] { return pod.Start(); }));
  samples["pod start"].push_back(samples["run"].back() + samples["create"].back() +
                                 samples["start"].back());
  RETURN_IF_ERROR(Timed(samples["exec"], [&]() -> Status {
    RETURN_IF_ERROR(pod.Output({"/bin/true"}));
    return {};
  }));
  return Timed(samples["stop+remove"], [&] { return pod.StopAndRemove(); });
}

double Quantile(std::vector<double> values, double quantile) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(quantile * values.size()))];
}

void Print(const std::map<std::string, Samples>& all) {
  printf("\n%-10s %-12s %10s %10s %10s %6s\n", "handler", "stage", "median ms", "p99 ms", "min ms",
         "n");
  for (const auto& [handler, samples] : all) {
    for (const char* stage : kStages) {
      const auto found = samples.find(stage);
      if (found == samples.end() || found->second.empty()) continue;
      printf("%-10s %-12s %10.1f %10.1f %10.1f %6zu\n", handler.c_str(), stage,
             Quantile(found->second, 0.5), Quantile(found->second, 0.99),
             Quantile(found->second, 0.0), found->second.size());
    }
  }
}

int Measure(CriClient& cri, const Flags& flags, const std::string& logs) {
  std::map<std::string, Samples> all;
  std::map<std::string, std::string> failed;
  // The first round warms up (templates, caches) and is not counted.
  for (int round = 0; round <= flags.pods; ++round) {
    for (const std::string& handler : flags.handlers) {
      if (failed.count(handler)) continue;
      Samples warm_up;
      auto measured =
          MeasureOne(cri, flags, handler, round, logs, round == 0 ? warm_up : all[handler]);
      if (!measured) failed[handler] = measured.error().message;
    }
    fprintf(stderr, "\rround %d of %d", round, flags.pods);
  }
  fprintf(stderr, "\n");
  Print(all);
  for (const auto& [handler, why] : failed) printf("%s: %s\n", handler.c_str(), why.c_str());
  return failed.empty() ? 0 : 1;
}

int MeasureOwnDaemon(const WorldPaths& paths, const Flags& flags) {
  World world(paths);
  auto started = world.Start();
  if (started) started = world.LoadTestImage();
  if (!started) {
    fprintf(stderr, "bench: %s\n", started.error().message.c_str());
    return 1;
  }
  const int code = Measure(world.cri(), flags, world.NewFolder("bench"));
  world.daemon().Terminate();
  return code;
}

}  // namespace
}  // namespace catamaran::e2e

int main(int argc, char** argv) {
  using namespace catamaran::e2e;
  Flags flags;
  CLI::App app("Times pod starts, execs and stops through a CRI socket.");
  app.add_option("--endpoint", flags.endpoint,
                 "unix:///path of a running runtime (default: a daemon of its own)");
  app.add_option("--handlers", flags.handlers, "Runtime handlers, taken in turn")->delimiter(',');
  app.add_option("--image", flags.image, "Image with /bin/sh and /bin/true; the runtime has it");
  app.add_option("--pods", flags.pods, "Pods per handler");
  CLI11_PARSE(app, argc, argv);
  if (!flags.endpoint.empty()) {
    CriClient cri(flags.endpoint);
    return Measure(cri, flags, "/tmp");
  }
  const WorldPaths paths = MakeWorldPaths("catamaran-bench");
  return RunInPrivateWorld(paths, [&] { return MeasureOwnDaemon(paths, flags); });
}

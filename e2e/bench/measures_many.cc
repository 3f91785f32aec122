// The measures that need pods to stay, to write and to be pulled.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "e2e/bench/measures.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kIdleWindow = std::chrono::seconds(10);
constexpr auto kLogLimit = std::chrono::minutes(5);
constexpr auto kPullLimit = std::chrono::seconds(300);
constexpr int kListCalls = 10;

template <typename Response>
Status Answered(const Reply<Response>& reply) {
  if (reply.ok()) return {};
  return tl::unexpected<Error>(reply.error);
}

Result<uint64_t> CountLines(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_RDONLY));
  std::vector<char> buffer(1 << 20);
  uint64_t lines = 0;
  for (;;) {
    const ssize_t size = read(file.get(), buffer.data(), buffer.size());
    if (size < 0) return FailWithErrno("read {}", path);
    if (size == 0) return lines;
    lines += std::count(buffer.begin(), buffer.begin() + size, '\n');
  }
}

}  // namespace

void Bench::MeasureManyPods(bool machines) {
  std::map<std::string, PodList> pods;
  const int most = machines ? plan_.machines : plan_.many;
  for (int round = 0; round < most; ++round) {
    if (round % 20 == 0) fprintf(stderr, "many pods: %d of %d\n", round, most);
    Turn(machines, [&](const Subject& subject) {
      PodList& own = pods[subject.name];
      own.push_back(NewIdlePod(subject));
      return Timed("start beside many", subject, round, [&] { return StartWhole(*own.back()); });
    });
  }
  for (int round = 0; round < kListCalls; ++round)
    Turn(machines, [&](const Subject& subject) { return CallLists(subject, round); });
  Turn(machines, [&](const Subject& subject) { return Weigh(subject, pods[subject.name]); });
  MeasureIdling(machines);
  fprintf(stderr, "many pods: stopping %d\n", most);
  for (int round = 0; round < most; ++round) {
    Turn(machines, [&](const Subject& subject) -> Status {
      PodList& own = pods[subject.name];
      RETURN_IF_ERROR(Timed("stop and remove beside many", subject, round,
                            [&] { return own.back()->StopAndRemove(); }));
      own.pop_back();
      return {};
    });
  }
}

Status Bench::CallLists(const Subject& subject, int round) {
  CriClient& cri = subject.runtime->cri();
  const auto call = [&](const char* verb, const std::function<Status()>& list) -> Status {
    auto timed = Timed(verb, subject, round, list);
    // Older runtimes lack some of them.
    if (!timed && timed.error().code == ErrorCode::kUnimplemented) return {};
    return timed;
  };
  RETURN_IF_ERROR(call("ListPodSandbox", [&] { return Answered(cri.ListPodSandbox({})); }));
  RETURN_IF_ERROR(call("ListContainers", [&] { return Answered(cri.ListContainers({})); }));
  RETURN_IF_ERROR(call("ListContainerStats", [&] { return Answered(cri.ListContainerStats({})); }));
  RETURN_IF_ERROR(
      call("ListPodSandboxStats", [&] { return Answered(cri.ListPodSandboxStats({})); }));
  return call("ListPodSandboxMetrics", [&] { return Answered(cri.ListPodSandboxMetrics({})); });
}

Status Bench::Weigh(const Subject& subject, const PodList& pods) {
  Runtime& runtime = *subject.runtime;
  if (runtime.daemon() == 0 || pods.empty()) return {};
  ASSIGN_OR_RETURN(const MemoryUse daemon, ReadMemory(runtime.daemon()));
  samples_.Add("daemon beside many, RSS MiB", subject.name, 0, daemon.resident / 1024);
  ASSIGN_OR_RETURN(const auto processes, runtime.Processes());
  ProcessFilter filter{.pods = {}, .but_not = kIdleSeconds};
  for (const auto& pod : pods) filter.pods.push_back(pod->id());
  const MemoryUse all = SumMemory(processes, filter);
  const auto count = static_cast<double>(pods.size());
  samples_.Add("a pod's processes, PSS KiB", subject.name, 0, all.proportional / count);
  samples_.Add("a pod's processes, private KiB", subject.name, 0, all.private_only / count);
  return {};
}

// All idle in the same seconds.
void Bench::MeasureIdling(bool machines) {
  std::map<std::string, double> before;
  Turn(machines, [&](const Subject& subject) -> Status {
    if (auto cpu = subject.runtime->CpuMilliseconds()) before[subject.name] = *cpu;
    return {};
  });
  std::this_thread::sleep_for(kIdleWindow);
  Turn(machines, [&](const Subject& subject) -> Status {
    if (!before.count(subject.name)) return {};
    ASSIGN_OR_RETURN(const double cpu, subject.runtime->CpuMilliseconds());
    samples_.Add("idle CPU, ms a minute", subject.name, 0,
                 (cpu - before[subject.name]) * (std::chrono::minutes(1) / kIdleWindow));
    return {};
  });
}

void Bench::MeasureLogs() {
  for (int round = 0; round < plan_.rounds; ++round) {
    fprintf(stderr, "logs: round %d of %d\n", round + 1, plan_.rounds);
    Turn([&](const Subject& subject) { return WriteLog(subject, round); });
  }
}

Status Bench::WriteLog(const Subject& subject, int round) {
  // /lines is 1 MB.
  const auto pod = NewPod(subject, {"/bin/sh", "-c",
                                    fmt::format("i=0; while [ $i -lt {} ]; do cat /lines; "
                                                "i=$((i+1)); done",
                                                plan_.log_megabytes)});
  RETURN_IF_ERROR(pod->Run());
  RETURN_IF_ERROR(pod->Create());
  RETURN_IF_ERROR(Timed(fmt::format("{} MB of log lines", plan_.log_megabytes), subject, round,
                        [&]() -> Status {
                          RETURN_IF_ERROR(pod->Start());
                          return pod->WaitForEnd(kLogLimit);
                        }));
  const uint64_t lines = uint64_t{kLinesInFile} * plan_.log_megabytes;
  ASSIGN_OR_RETURN(const uint64_t written, CountLines(pod->log_file()));
  if (written != lines)
    return Fail(ErrorCode::kDataLoss, "{} of {} lines are in the log", written, lines);
  return RemoveIfExists(pod->log_file());
}

void Bench::MeasurePulls() {
  if (plan_.big_image.empty()) return;
  for (int round = 0; round < plan_.rounds; ++round) {
    fprintf(stderr, "pulls: round %d of %d\n", round + 1, plan_.rounds);
    std::map<Runtime*, bool> pulled;  // once for all its handlers
    Turn([&](const Subject& subject) -> Status {
      if (std::exchange(pulled[subject.runtime], true)) return {};
      CriClient& cri = subject.runtime->cri();
      v1::PullImageRequest pull;
      pull.mutable_image()->set_image(plan_.big_image);
      RETURN_IF_ERROR(Timed("pull of the big image", subject, round,
                            [&] { return Answered(cri.PullImage(pull, kPullLimit)); }));
      v1::RemoveImageRequest remove;
      remove.mutable_image()->set_image(plan_.big_image);
      return Answered(cri.RemoveImage(remove));
    });
  }
}

}  // namespace catamaran::e2e

#include "e2e/bench/measures.h"

#include <chrono>
#include <cstdio>
#include <sstream>
#include <thread>

#include "e2e/harness/daemon.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

using Clock = std::chrono::steady_clock;
constexpr char kFloor[] = "floor";
constexpr int kExecsARound = 20;

}  // namespace

Status StartWhole(PlainPod& pod) {
  RETURN_IF_ERROR(pod.Run());
  RETURN_IF_ERROR(pod.Create());
  return pod.Start();
}

void Bench::Turn(const Step& step) {
  for (const Subject& subject : subjects_) {
    if (failures_.count(subject.name)) continue;
    if (auto done = TurnOf(subject, step); !done) failures_[subject.name] = done.error().message;
  }
}

Status Bench::TurnOf(const Subject& subject, const Step& step) {
  if (subject.pool == 0) return step(subject);
  ASSIGN_OR_RETURN(const int used_before, subject.runtime->AwaitFullPool(subject.pool));
  const int made_before = pods_made_;
  RETURN_IF_ERROR(step(subject));
  ASSIGN_OR_RETURN(const int used, subject.runtime->AwaitFullPool(subject.pool));
  if (used - used_before == pods_made_ - made_before) return {};
  return Fail(ErrorCode::kFailedPrecondition, "{} of {} pods came out of the pool",
              used - used_before, pods_made_ - made_before);
}

void Bench::Turn(bool machines, const Step& step) {
  Turn([&](const Subject& subject) -> Status {
    return subject.machines == machines ? step(subject) : Status{};
  });
}

Status Bench::Timed(const std::string& measure, const Subject& subject, int round,
                    const std::function<Status()>& step, int repeated) {
  const auto cpu = subject.runtime->CpuMilliseconds();
  const auto start = Clock::now();
  RETURN_IF_ERROR(step());
  const std::chrono::duration<double, std::milli> wall = Clock::now() - start;
  samples_.Add(measure + ", ms", subject.name, round, wall.count() / repeated);
  if (!cpu) return {};
  ASSIGN_OR_RETURN(const double cpu_after, subject.runtime->CpuMilliseconds());
  samples_.Add(measure + " CPU, ms", subject.name, round, (cpu_after - *cpu) / repeated);
  return {};
}

std::unique_ptr<PlainPod> Bench::NewPod(const Subject& subject, std::vector<std::string> command) {
  const std::string name = fmt::format("bench-{}-{}", subject.handler, pods_made_++);
  // As a kubelet does; where it fails, the container's log will say so.
  (void)MakeDirectories(plan_.folder + "/" + name, 0755);
  return std::make_unique<PlainPod>(
      subject.runtime->cri(),
      PlainPod::Options{.handler = subject.handler,
                        .name = name,
                        .image = plan_.image,
                        .command = std::move(command),
                        .log_directory = plan_.folder + "/" + name,
                        .adjust = [parent = subject.runtime->cgroup_parent()](auto* config) {
                          config->mutable_linux()->set_cgroup_parent(parent);
                        }});
}

std::unique_ptr<PlainPod> Bench::NewIdlePod(const Subject& subject) {
  return NewPod(subject, {"/bin/sleep", kIdleSeconds});
}

void Bench::MeasurePodLives() {
  // The first round warms up (templates, caches) and is not counted.
  for (int round = -1; round < plan_.pods; ++round) {
    fprintf(stderr, "pod lives: round %d of %d\n", round + 1, plan_.pods);
    Samples counted;
    if (round < 0) std::swap(counted, samples_);
    Turn([&](const Subject& subject) { return LiveOnce(subject, round); });
    if (auto floor = RunFloor(round, 1, "pod start"); !floor)
      failures_[kFloor] = floor.error().message;
    if (round < 0) std::swap(counted, samples_);
  }
  if (auto floor = RunFloor(0, plan_.pods, "pod start in a busy loop"); !floor)
    failures_[kFloor] = floor.error().message;
}

Status Bench::LiveOnce(const Subject& subject, int round) {
  const auto pod = NewIdlePod(subject);
  RETURN_IF_ERROR(Timed("whole pod life", subject, round, [&]() -> Status {
    RETURN_IF_ERROR(Timed("pod start", subject, round, [&]() -> Status {
      RETURN_IF_ERROR(Timed("  run", subject, round, [&] { return pod->Run(); }));
      RETURN_IF_ERROR(Timed("  create", subject, round, [&] { return pod->Create(); }));
      return Timed("  start", subject, round, [&] { return pod->Start(); });
    }));
    return Timed("stop and remove", subject, round, [&] { return pod->StopAndRemove(); });
  }));
  if (subject.pool == 0) return {};
  return Timed("another machine for the pool", subject, round, [&]() -> Status {
    RETURN_IF_ERROR(subject.runtime->AwaitFullPool(subject.pool));
    return {};
  });
}

Status Bench::RunFloor(int round, int count, const std::string& measure) {
  if (plan_.cgroup.empty() || failures_.count(kFloor)) return {};
  const std::string scratch = plan_.folder + "/floor-scratch";
  RETURN_IF_ERROR(MakeDirectories(scratch, 0755));
  const ProgramResult result =
      RunProgram({ProgramFolder() + "/catamaran-bench-floor", plan_.folder + "/floor", scratch,
                  plan_.cgroup, std::to_string(count)});
  if (result.exit_code != 0) return Fail(ErrorCode::kInternal, "{}", result.output);
  std::istringstream lines(result.output);
  double wall = 0, cpu = 0;
  for (int number = round; lines >> wall >> cpu; ++number) {
    samples_.Add(measure + ", ms", kFloor, number, wall);
    samples_.Add(measure + " CPU, ms", kFloor, number, cpu);
  }
  return {};
}

void Bench::MeasureExec() {
  std::map<std::string, std::unique_ptr<PlainPod>> pods;
  Turn([&](const Subject& subject) -> Status {
    auto& pod = pods[subject.name] = NewIdlePod(subject);
    RETURN_IF_ERROR(StartWhole(*pod));
    RETURN_IF_ERROR(pod->Output({"/bin/true"}));  // warms up
    return {};
  });
  for (int round = 0; round < plan_.pods; ++round) {
    Turn([&](const Subject& subject) {
      return Timed(
          "ExecSync of true", subject, round,
          [&]() -> Status {
            for (int i = 0; i < kExecsARound; ++i)
              RETURN_IF_ERROR(pods[subject.name]->Output({"/bin/true"}));
            return {};
          },
          kExecsARound);
    });
  }
}

void Bench::MeasureParallelStarts() {
  for (int round = 0; round < plan_.rounds; ++round) {
    fprintf(stderr, "pods started at once: round %d of %d\n", round + 1, plan_.rounds);
    Turn([&](const Subject& subject) { return StartTogether(subject, round); });
  }
}

Status Bench::StartTogether(const Subject& subject, int round) {
  PodList pods;
  for (int i = 0; i < (subject.machines ? plan_.machines : plan_.parallel); ++i)
    pods.push_back(NewIdlePod(subject));
  // Each thread touches its own pod and result only.
  const auto together = [&](const std::function<Status(PlainPod&)>& verb) -> Status {
    std::vector<Status> results(pods.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < pods.size(); ++i)
      threads.emplace_back([&, i] { results[i] = verb(*pods[i]); });
    for (std::thread& thread : threads) thread.join();
    for (Status& result : results) RETURN_IF_ERROR(std::move(result));
    return {};
  };
  const std::string count = fmt::format("at once ({}): ", pods.size());
  RETURN_IF_ERROR(Timed(count + "start", subject, round, [&] { return together(StartWhole); }));
  return Timed(count + "stop and remove", subject, round,
               [&] { return together([](PlainPod& pod) { return pod.StopAndRemove(); }); });
}

void Bench::Print(const std::string& base) const {
  std::vector<std::string> names;
  for (const Subject& subject : subjects_) names.push_back(subject.name);
  names.push_back(kFloor);
  printf("\n%-40s %-17s %10s %10s %5s   %s\n", "measure", "", "median", "p99", "n",
         base.empty() ? "" : ("to " + base).c_str());
  for (const std::string& measure : samples_.measures()) {
    const char* title = measure.c_str();
    for (const std::string& name : names) {
      const auto values = samples_.Values(measure, name);
      if (values.empty()) continue;
      std::string ratio;
      if (!base.empty() && name != base) {
        const auto computed = samples_.Ratio(measure, name, base);
        ratio = computed ? fmt::format("{:.3f}", *computed) : "none: " + computed.error().message;
      }
      printf("%-40s %-17s %10.2f %10.2f %5zu   %s\n", title, name.c_str(), Quantile(values, 0.5),
             Quantile(values, 0.99), values.size(), ratio.c_str());
      title = "";
    }
  }
  for (const auto& [subject, why] : failures_)
    printf("%s FAILED: %s\n", subject.c_str(), why.c_str());
}

}  // namespace catamaran::e2e

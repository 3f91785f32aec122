// Many pods on one daemon: no call gets slow because of the pods that it is not about.
// CATAMARAN_E2E_SCALE=NS,VM says how many of each handler ("40,4" where it is not set).
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <sstream>
#include <thread>

#include "e2e/harness/plain_pod.h"
#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Far above what a call takes: what waits for each pod in turn, or for one that is slow, is beyond.
constexpr std::chrono::seconds kListLimit{2};
constexpr std::chrono::seconds kStatsLimit{10};
constexpr std::chrono::seconds kStopLimit{30};
constexpr std::chrono::seconds kRestartLimit{10};
constexpr size_t kWorkers = 8;
constexpr size_t kSingly = 5;  // pods at either end that are started one at a time
constexpr int kCalls = 20;

double InMilliseconds(std::chrono::duration<double, std::milli> time) { return time.count(); }

double MillisecondsOf(const std::function<void()>& call) {
  const auto start = Clock::now();
  call();
  return InMilliseconds(Clock::now() - start);
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Calls function(item) for every item, on a few threads.
void OnWorkers(size_t items, const std::function<void(size_t)>& function) {
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(kWorkers, items); ++i) {
    threads.emplace_back([&] {
      for (size_t item = next++; item < items; item = next++) function(item);
    });
  }
  for (auto& thread : threads) thread.join();
}

// What a process has used so far.
double CpuMillisecondsOf(pid_t process) {
  clockid_t clock;
  timespec used{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

struct Memory {
  double pss_kib = 0, private_kib = 0;
};
// Of the processes with this name in /proc/PID/comm, on average.
Memory AverageMemory(const std::string& name, double per) {
  Memory sum;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    auto comm = ReadFile(entry.path() / "comm");
    if (!comm || *comm != name + "\n") continue;
    auto rollup = ReadFile(entry.path() / "smaps_rollup");
    if (!rollup) continue;
    std::istringstream lines(*rollup);
    std::string key, rest;
    double kib = 0;
    std::getline(lines, rest);
    while (lines >> key >> kib && std::getline(lines, rest)) {
      if (key == "Pss:") sum.pss_kib += kib;
      if (key == "Private_Clean:" || key == "Private_Dirty:") sum.private_kib += kib;
    }
  }
  return {sum.pss_kib / per, sum.private_kib / per};
}

class Scale : public WorldTest {
 protected:
  void SetUp() override {
    auto loaded = world().LoadTestImage();
    ASSERT_TRUE(loaded) << loaded.error().message;
    const char* counts = getenv("CATAMARAN_E2E_SCALE");
    ASSERT_EQ(sscanf(counts != nullptr ? counts : "40,4", "%zu,%zu", &ns_, &vm_), 2) << counts;
    WorldTest::SetUp();
  }
  void TearDown() override {
    pods_.clear();
    WorldTest::TearDown();
  }

  void StartAll(const std::string& handler, size_t count);
  double StartOne(PlainPod& pod);
  void ExpectAllListed();
  void MeasureCalls();
  void PrintMemory();
  void StopAll();

  // Of kCalls calls: all are bounded, the median is printed.
  void Measure(const std::string& what, std::chrono::seconds limit,
               const std::function<void()>& call);

  size_t all() const { return ns_ + vm_; }
  size_t ns_ = 0, vm_ = 0;
  std::vector<std::unique_ptr<PlainPod>> pods_;
};

double Scale::StartOne(PlainPod& pod) {
  return MillisecondsOf([&] {
    auto started = pod.Run();
    if (started) started = pod.Create();
    if (started) started = pod.Start();
    EXPECT_TRUE(started) << pod.options().name << ": " << started.error().message;
  });
}

void Scale::StartAll(const std::string& handler, size_t count) {
  std::vector<PlainPod*> added;
  for (size_t i = 0; i < count; ++i) {
    pods_.push_back(std::make_unique<PlainPod>(
        cri(), PlainPod::Options{handler,
                                 "scale-" + handler + "-" + std::to_string(i),
                                 kImage,
                                 {"/bin/sh", "-c", "while :; do sleep 1000; done"},
                                 world().NewFolder("scale")}));
    added.push_back(pods_.back().get());
  }
  const size_t singly = std::min(kSingly, count / 2);
  std::vector<double> first, last;
  const auto daemon_cpu = [&] { return CpuMillisecondsOf(world().daemon().pid()); };
  const double at_begin = daemon_cpu();
  for (size_t i = 0; i < singly; ++i) first.push_back(StartOne(*added[i]));
  const double after_first = daemon_cpu();
  const size_t between = count - 2 * singly;
  const double rest =
      MillisecondsOf([&] { OnWorkers(between, [&](size_t i) { StartOne(*added[singly + i]); }); });
  const double before_last = daemon_cpu();
  for (size_t i = count - singly; i < count; ++i) last.push_back(StartOne(*added[i]));
  const double each = static_cast<double>(std::max<size_t>(singly, 1));
  printf(
      "scale: %s: a pod's start: %.1f ms the first %zu, %.1f ms with %zu there (the daemon's CPU: "
      "%.1f and %.1f ms each); %zu at once: %.1f ms each\n",
      handler.c_str(), Median(first), singly, Median(last), pods_.size(),
      (after_first - at_begin) / each, (daemon_cpu() - before_last) / each, kWorkers,
      rest / static_cast<double>(std::max<size_t>(between, 1)));
}

void Scale::ExpectAllListed() {
  auto sandboxes = cri().ListPodSandbox({});
  ASSERT_TRUE(sandboxes.ok()) << sandboxes.message();
  size_t ready = 0;
  for (const auto& sandbox : sandboxes->items()) ready += sandbox.state() == v1::SANDBOX_READY;
  EXPECT_EQ(ready, all());
  auto containers = cri().ListContainers({});
  ASSERT_TRUE(containers.ok()) << containers.message();
  size_t running = 0;
  for (const auto& item : containers->containers())
    running += item.state() == v1::CONTAINER_RUNNING;
  EXPECT_EQ(running, all());
}

void Scale::Measure(const std::string& what, std::chrono::seconds limit,
                    const std::function<void()>& call) {
  std::vector<double> times;
  for (int i = 0; i < kCalls; ++i) times.push_back(MillisecondsOf(call));
  const double longest = *std::max_element(times.begin(), times.end());
  EXPECT_LT(longest, InMilliseconds(limit)) << what;
  printf("scale: %s: %.2f ms, the first %.2f, the longest %.2f\n", what.c_str(), Median(times),
         times[0], longest);
}

void Scale::MeasureCalls() {
  Measure("ListPodSandbox", kListLimit, [&] { EXPECT_TRUE(cri().ListPodSandbox({}).ok()); });
  Measure("ListContainers", kListLimit, [&] { EXPECT_TRUE(cri().ListContainers({}).ok()); });
  Measure("ListContainers of one pod", kListLimit, [&] {
    v1::ListContainersRequest request;
    request.mutable_filter()->set_pod_sandbox_id(pods_.front()->id());
    auto reply = cri().ListContainers(request);
    EXPECT_EQ(reply->containers_size(), 1) << reply.message();
  });
  Measure("ListContainerStats", kStatsLimit, [&] {
    auto reply = cri().ListContainerStats({});
    EXPECT_EQ(static_cast<size_t>(reply->stats_size()), all()) << reply.message();
  });
  Measure("ListPodSandboxStats", kStatsLimit, [&] {
    auto reply = cri().ListPodSandboxStats({});
    EXPECT_EQ(static_cast<size_t>(reply->stats_size()), all()) << reply.message();
  });
  Measure("ListPodSandboxMetrics", kStatsLimit, [&] {
    auto reply = cri().ListPodSandboxMetrics({});
    EXPECT_EQ(static_cast<size_t>(reply->pod_metrics_size()), all()) << reply.message();
  });
  Measure("PodSandboxStats", kStatsLimit, [&] { EXPECT_TRUE(pods_.front()->Stats()); });
  Measure("ExecSync", kStatsLimit, [&] { EXPECT_TRUE(pods_.front()->Output({"/bin/true"})); });
}

void Scale::PrintMemory() {
  const auto pods = static_cast<double>(all());
  for (const char* name : {"catamaran-shim", "catamaran-log"}) {
    const Memory memory = AverageMemory(name, pods);
    printf("scale: %s: PSS %.0f KiB a pod, private %.0f KiB\n", name, memory.pss_kib,
           memory.private_kib);
  }
  const Memory daemon = AverageMemory("catamaran", 1);
  printf("scale: daemon: PSS %.1f MiB, private %.1f MiB\n", daemon.pss_kib / 1024,
         daemon.private_kib / 1024);
}

void Scale::StopAll() {
  std::vector<double> times(pods_.size());
  const double together = MillisecondsOf([&] {
    OnWorkers(pods_.size(), [&](size_t i) {
      times[i] = MillisecondsOf([&] {
        auto stopped = pods_[i]->StopAndRemove();
        EXPECT_TRUE(stopped) << stopped.error().message;
      });
    });
  });
  const double longest = *std::max_element(times.begin(), times.end());
  EXPECT_LT(longest, InMilliseconds(kStopLimit));
  printf("scale: stop and remove, %zu at once: %.1f ms, the longest %.1f; all in %.0f ms\n",
         kWorkers, Median(times), longest, together);
}

TEST_F(Scale, CallsStayBoundedAndARestartFindsEveryPod) {
  StartAll("ns", ns_);
  StartAll("vm", vm_);
  ASSERT_FALSE(HasFailure());
  ExpectAllListed();
  MeasureCalls();
  PrintMemory();

  world().daemon().Kill();
  const double restart = MillisecondsOf([&] {
    auto started = world().RestartDaemon();
    ASSERT_TRUE(started) << started.error().message;
  });
  EXPECT_LT(restart, InMilliseconds(kRestartLimit));
  printf("scale: from a daemon's start to serving, with %zu pods: %.0f ms\n", all(), restart);
  ExpectAllListed();
  Measure("ListContainerStats", kStatsLimit, [&] {
    auto reply = cri().ListContainerStats({});
    EXPECT_EQ(static_cast<size_t>(reply->stats_size()), all()) << reply.message();
  });
  StopAll();
}

}  // namespace
}  // namespace catamaran::e2e

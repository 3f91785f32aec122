// Machines that wait for pods: a pod that takes one is like any other, and whatever happens to
// those that wait is no pod's concern.
#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "e2e/harness/guest_clock.h"
#include "e2e/harness/plain_pod.h"
#include "e2e/harness/pod_test.h"
#include "e2e/harness/processes.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr char kVmPool[] = "vm-pool";
constexpr size_t kPool = 2;
constexpr int kClockPort = 1230;
constexpr std::chrono::milliseconds kMostClockError{100};
// Filling takes seconds; on a busy machine under emulation, minutes.
constexpr std::chrono::seconds kFillLimit{300};

struct PoolFacts {
  size_t waiting = 0;
  uint64_t made = 0, used = 0, lost = 0, failed_claims = 0;
  std::string last_error;
  std::string text;
};

class Pool : public WorldTest {
 protected:
  void SetUp() override {
    auto loaded = world().LoadTestImage();
    ASSERT_TRUE(loaded) << loaded.error().message;
    auto prepared = world().PrepareTemplates();
    ASSERT_TRUE(prepared) << prepared.error().message;
    ASSERT_NO_FATAL_FAILURE(Serve(""));
    ASSERT_NO_FATAL_FAILURE(RunOne(kVm));
    WorldTest::SetUp();
    ASSERT_NO_FATAL_FAILURE(Serve(fmt::format(
        "  - name: {}\n    backend: vm\n    machine:\n      pool: {}\n", kVmPool, kPool)));
    AwaitFull();
  }
  // The comparison is with a daemon that has no pool: the one with it must have ended all of it.
  void TearDown() override {
    pods_.clear();
    ASSERT_NO_FATAL_FAILURE(Serve(""));
    ASSERT_NO_FATAL_FAILURE(RunOne(kVm));
    WorldTest::TearDown();
  }

  // The daemon starts anew with this run's handlers and these, entries of `handlers`.
  void Serve(const std::string& handlers) {
    ASSERT_TRUE(ReplaceFile(world().config_file(), ConfigText(world().paths()) + handlers, 0600,
                            Durability::kProcessCrash));
    ASSERT_EQ(world().daemon().Terminate(), 0);
    auto started = world().RestartDaemon();
    ASSERT_TRUE(started) << started.error().message;
  }
  // Nothing where there is no pool or the daemon is gone.
  PoolFacts Facts() {
    v1::StatusRequest request;
    request.set_verbose(true);
    const auto status = cri().Status(request);
    PoolFacts facts;
    if (!status.ok()) return facts;
    const auto found = status->info().find("pool");
    if (found == status->info().end()) return facts;
    facts.text = found->second;
    const auto pool = nlohmann::json::parse(found->second).at(kVmPool);
    facts.waiting = pool.at("waiting");
    facts.made = pool.at("made");
    facts.used = pool.at("used");
    facts.lost = pool.at("lost");
    facts.failed_claims = pool.at("failedClaims");
    facts.last_error = pool.at("lastError");
    return facts;
  }
  void AwaitFull() {
    ASSERT_TRUE(WaitUntil([this] { return Facts().waiting == kPool; }, kFillLimit)) << Facts().text;
  }
  // The pods that the machines which wait are going to be.
  std::vector<std::string> WaitingIds() {
    std::set<std::string> pods;
    const auto list = cri().ListPodSandbox({});
    for (const auto& pod : list->items()) pods.insert(pod.id());
    std::vector<std::string> waiting;
    for (const auto& entry : std::filesystem::directory_iterator(world().paths().run() + "/pods"))
      if (!pods.contains(entry.path().filename())) waiting.push_back(entry.path().filename());
    return waiting;
  }

  PlainPod& NewPod(const std::string& handler,
                   const std::function<void(v1::PodSandboxConfig*)>& adjust = {}) {
    const std::string name = fmt::format("pool-{}", pods_.size());
    const std::string folder = world().NewFolder(name);
    EXPECT_TRUE(ReplaceFile(folder + "/in", "from the host\n", 0644, Durability::kProcessCrash));
    const std::string script =
        "cat /v/in; cat /proc/sys/kernel/random/boot_id > /v/out; "
        "exec probe clock " +
        std::to_string(kClockPort);
    const auto adjust_container = [folder](v1::ContainerConfig* config) {
      auto* mount = config->add_mounts();
      mount->set_host_path(folder);
      mount->set_container_path("/v");
    };
    pods_.push_back(
        std::make_unique<PlainPod>(cri(), PlainPod::Options{.handler = handler,
                                                            .name = name,
                                                            .image = kImage,
                                                            .command = {"/bin/sh", "-c", script},
                                                            .log_directory = folder,
                                                            .adjust = adjust,
                                                            .adjust_container = adjust_container}));
    return *pods_.back();
  }
  static void Start(PlainPod& pod) {
    for (const auto& step : {&PlainPod::Run, &PlainPod::Create, &PlainPod::Start}) {
      const auto done = (pod.*step)();
      ASSERT_TRUE(done) << pod.options().name << ": " << done.error().message;
    }
  }
  void RunOne(const std::string& handler) {
    Start(NewPod(handler));
    pods_.clear();
  }
  // All that a pod is: a machine of its own, network, volumes, logs, clock, exec.
  void ExpectWhole(PlainPod& pod);
  static bool Waited(const MachineFacts& facts) {
    return facts.text.find("pool_waited_ms") != std::string::npos;
  }
  MachineFacts MachineOf(PlainPod& pod) {
    auto facts = ReadMachineFacts(cri(), pod.id());
    EXPECT_TRUE(facts) << facts.error().message;
    return facts.value_or(MachineFacts());
  }
  static std::string OutputOf(PlainPod& pod, const std::string& script) {
    auto output = pod.Output({"/bin/sh", "-c", script});
    EXPECT_TRUE(output) << pod.options().name << ": " << output.error().message;
    return output.value_or("");
  }
  static std::string IpOf(PlainPod& pod) {
    auto status = pod.VerboseStatus();
    return status ? status->status().network().ip() : status.error().message;
  }

  // A program of a life with a pool dies at its 1st step, and some others up to the last: the pool
  // fills, a pod takes of it, lives and is removed. After each the next daemon must end what
  // waited, fill its pool and start pods from it.
  void KillAtStepsOf(const std::string& program);
  bool LiveOnce();

  std::vector<std::unique_ptr<PlainPod>> pods_;
};

void Pool::ExpectWhole(PlainPod& pod) {
  SCOPED_TRACE(pod.options().name);
  const MachineFacts facts = MachineOf(pod);
  EXPECT_EQ(facts.start, "restored") << facts.text;
  EXPECT_EQ(OutputOf(pod, "cat /proc/sys/kernel/random/boot_id"), facts.boot_id + "\n");
  const std::string folder = pod.options().log_directory;
  EXPECT_TRUE(WaitUntil([&] {
    const auto log = ReadFile(pod.log_file());
    return log && TextOf(ParseLog(*log), "stdout") == "from the host\n";
  })) << ReadFile(pod.log_file()).value_or("no log");
  EXPECT_TRUE(
      WaitUntil([&] { return ReadFile(folder + "/out").value_or("") == facts.boot_id + "\n"; }));
  auto clock = ReadClockOf(IpOf(pod), kClockPort, std::chrono::seconds(30));
  ASSERT_TRUE(clock) << clock.error().message;
  EXPECT_LT(clock->Worst(), kMostClockError) << clock->offset.count() << " ns";
  EXPECT_NE(FindPodProcess(pod.id(), "qemu-system-x86"), 0) << "not in the pod's cgroup";
  EXPECT_NE(FindPodProcess(pod.id(), "catamaran-shim"), 0) << "not in the pod's cgroup";
}

// Whether all of it worked.
bool Pool::LiveOnce() {
  const auto settled = [this] {
    const PoolFacts facts = Facts();
    return !world().daemon().running() || facts.waiting == kPool || !facts.last_error.empty();
  };
  if (!WaitUntil(settled, kFillLimit) || Facts().waiting != kPool) return false;
  PlainPod& pod = NewPod(kVmPool);
  bool whole = true;
  for (const auto& step :
       {&PlainPod::Run, &PlainPod::Create, &PlainPod::Start, &PlainPod::StopAndRemove})
    whole = whole && (pod.*step)();
  const PoolFacts facts = Facts();
  return whole && facts.used == 1 && facts.last_error.empty() && world().daemon().running();
}

void Pool::KillAtStepsOf(const std::string& program) {
  // A life takes seconds under emulation: `./dev test --all` tries every step.
  const int stride = getenv("CATAMARAN_E2E_EVERY_STEP") != nullptr ? 1 : 13;
  constexpr int kMostSteps = 1000;
  int step = 1;
  for (bool lived = false; !lived && step < kMostSteps; step += stride) {
    SCOPED_TRACE(fmt::format("{}:{}", program, step));
    world().daemon().Kill();
    (void)world().RestartDaemon({fmt::format("CATAMARAN_ABORT_AT={}:{}", program, step)});
    lived = LiveOnce();
    world().daemon().Kill();
    auto restarted = world().RestartDaemon();
    ASSERT_TRUE(restarted) << restarted.error().message;
    pods_.clear();  // stopped and removed, as the kubelet would
    ASSERT_EQ(cri().ListPodSandbox({})->items_size(), 0);
    ASSERT_NO_FATAL_FAILURE(AwaitFull());
    EXPECT_EQ(WaitingIds().size(), kPool) << "folders of pods that nobody owns";
    PlainPod& pod = NewPod(kVmPool);
    ASSERT_NO_FATAL_FAILURE(Start(pod));
    EXPECT_TRUE(Waited(MachineOf(pod)));
    pods_.clear();
    if (HasFailure()) return;
  }
  ASSERT_LT(step, kMostSteps) << "no life completed";
  printf("%s: a life with a pool has fewer than %d steps\n", program.c_str(), step);
  EXPECT_GT(step, 3 + stride) << "the counter never fired";
}

TEST_F(Pool, ConvergesAfterTheDaemonDiesAtSomeStep) { KillAtStepsOf("daemon"); }

TEST_F(Pool, ConvergesAfterTheShimDiesAtSomeStep) { KillAtStepsOf("shim"); }

TEST_F(Pool, PodsTakeMachinesThatWaitAndLackNothing) {
  std::set<std::string> waited;
  for (const std::string& id : WaitingIds()) waited.insert(id);
  EXPECT_EQ(waited.size(), kPool);
  std::map<std::string, std::set<std::string>> seen;
  std::vector<PlainPod*> pods;
  for (size_t i = 0; i < kPool; ++i) {
    PlainPod& pod = NewPod(kVmPool);
    ASSERT_NO_FATAL_FAILURE(Start(pod));
    const MachineFacts facts = MachineOf(pod);
    EXPECT_TRUE(waited.contains(pod.id())) << pod.id();
    EXPECT_TRUE(Waited(facts)) << facts.text;
    ExpectWhole(pod);
    pods.push_back(&pod);
    seen["boot id"].insert(facts.boot_id);
    seen["machine id"].insert(facts.machine_id);
    seen["random"].insert(OutputOf(pod, "head -c 16 /dev/urandom | hexdump -C"));
    seen["MAC"].insert(OutputOf(pod, "cat /sys/class/net/eth0/address"));
    seen["IP"].insert(IpOf(pod));
  }
  for (const auto& [what, values] : seen) EXPECT_EQ(values.size(), kPool) << what;
  for (PlainPod* from : pods)
    for (PlainPod* to : pods)
      EXPECT_TRUE(from->Output({"/bin/ping", "-c", "1", "-W", "10", IpOf(*to)}))
          << from->options().name << " to " << to->options().name;
  AwaitFull();
  const PoolFacts facts = Facts();
  EXPECT_EQ(facts.used, kPool) << facts.text;
  EXPECT_EQ(facts.failed_claims, 0u) << facts.text;
  EXPECT_EQ(facts.lost, 0u) << facts.text;
}

TEST_F(Pool, APodThatNoWaitingMachineSuitsGetsOneOfItsOwn) {
  PlainPod& pod = NewPod(kVmPool, [](v1::PodSandboxConfig* config) {
    config->mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(int64_t{1} << 30);
  });
  ASSERT_NO_FATAL_FAILURE(Start(pod));
  const MachineFacts facts = MachineOf(pod);
  EXPECT_FALSE(Waited(facts)) << facts.text;
  EXPECT_GE(facts.memory_bytes, uint64_t{1} << 30) << facts.text;
  EXPECT_EQ(Facts().used, 0u) << Facts().text;
}

TEST_F(Pool, AWaitingMachineThatIsKilledIsReplacedAndItsNeighbourTaken) {
  const auto waiting = WaitingIds();
  ASSERT_EQ(waiting.size(), kPool);
  const pid_t hypervisor = FindPodProcess(waiting[0], "qemu-system-x86");
  const pid_t shim = FindPodProcess(waiting[1], "catamaran-shim");
  ASSERT_GT(hypervisor, 0);
  ASSERT_GT(shim, 0);
  EXPECT_EQ(kill(hypervisor, SIGKILL), 0);
  EXPECT_TRUE(WaitUntil([this] { return Facts().lost == 1; })) << Facts().text;
  PlainPod& pod = NewPod(kVmPool);
  ASSERT_NO_FATAL_FAILURE(Start(pod));
  EXPECT_EQ(pod.id(), waiting[1]);
  ExpectWhole(pod);
  AwaitFull();
  const auto others = WaitingIds();
  const pid_t other = FindPodProcess(others.front(), "catamaran-shim");
  ASSERT_GT(other, 0);
  EXPECT_EQ(kill(other, SIGKILL), 0);
  EXPECT_TRUE(WaitUntil([this] { return Facts().lost == 2; })) << Facts().text;
  AwaitFull();
  for (const std::string& id : {waiting[0], others.front()})
    EXPECT_FALSE(Exists(world().paths().run() + "/pods/" + id)) << id;
  ExpectWhole(pod);
}

TEST_F(Pool, WhatWaitedForAKilledDaemonIsSweptAndTheNextOneFillsAnew) {
  PlainPod& pod = NewPod(kVmPool);
  ASSERT_NO_FATAL_FAILURE(Start(pod));
  AwaitFull();
  const auto waited = WaitingIds();
  ASSERT_EQ(waited.size(), kPool);
  world().daemon().Kill();
  auto restarted = world().RestartDaemon();
  ASSERT_TRUE(restarted) << restarted.error().message;
  AwaitFull();
  EXPECT_TRUE(WaitUntil([&] {
    return std::none_of(waited.begin(), waited.end(), [](const std::string& id) {
      return FindPodProcess(id, "catamaran-shim") != 0;
    });
  }));
  ExpectWhole(pod);
  PlainPod& next = NewPod(kVmPool);
  ASSERT_NO_FATAL_FAILURE(Start(next));
  EXPECT_TRUE(Waited(MachineOf(next)));
  ExpectWhole(next);
}

TEST_F(Pool, WaitingMachinesUseNoProcessor) {
  const auto waiting = WaitingIds();
  ASSERT_EQ(waiting.size(), kPool);
  for (const std::string& id : waiting) {
    const pid_t process = FindPodProcess(id, "qemu-system-x86");
    ASSERT_GT(process, 0);
    clockid_t clock;
    ASSERT_EQ(clock_getcpuclockid(process, &clock), 0);
    timespec before{}, after{};
    clock_gettime(clock, &before);
    sleep(5);
    clock_gettime(clock, &after);
    const double used = static_cast<double>(after.tv_sec - before.tv_sec) * 1e3 +
                        static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e6;
    printf("a waiting machine used %.1f ms of 5000\n", used);
    EXPECT_LT(used, 20) << "it runs";
  }
}

}  // namespace
}  // namespace catamaran::e2e

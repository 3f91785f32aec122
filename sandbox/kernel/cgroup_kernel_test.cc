#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sandbox/base/files.h"
#include "sandbox/base/testing/kill_steps.h"
#include "sandbox/kernel/cgroup_kernel_fixture.h"
#include "sandbox/kernel/sandbox_limits.h"

// Groups of the running kernel: the machine's own tree, and what of it is v1 alone and v2 alone.
namespace catamaran {
namespace {

TEST_P(CgroupKernelTest, HoldsTheProcessesAttachedToIt) {
  const Cgroup one = Make("one");
  const Cgroup above = tree_->OpenGroup(base_).value();
  const pid_t child = RunSleeper(one);
  EXPECT_EQ(one.Processes(Cgroup::Depth::kGroup).value(), std::vector<pid_t>{child});
  EXPECT_EQ(above.Processes(Cgroup::Depth::kGroup).value(), std::vector<pid_t>{});
  EXPECT_EQ(above.Processes(Cgroup::Depth::kTree).value(), std::vector<pid_t>{child});
  EXPECT_EQ(above.Children().value(), std::vector<std::string>{"one"});
}

TEST_P(CgroupKernelTest, KnowsTheGroupOfAProcess) {
  if (!Controls("memory")) GTEST_SKIP() << "no memory controller in this tree";
  const Cgroup one = Make("one");
  EXPECT_EQ(tree_->PathOf(RunSleeper(one)).value(), one.path());
}

// What systemd's scopes ask for: their process is in the group that shall have groups below it.
TEST_P(CgroupKernelTest, TakesTheProcessesOutOfTheGroupAbove) {
  const Cgroup scope = Make("scope");
  const pid_t child = RunSleeper(scope);
  const std::string leaf = base_ + "/scope/pod/shim";
  const auto busy = tree_->Create(leaf);
  EXPECT_EQ(busy.has_value(), tree_->Unified() == nullptr) << "v2 lets no such group pass any on";
  const auto bare = tree_->Create(leaf, CgroupTree::Passing::kNothing);
  ASSERT_TRUE(bare) << bare.error().message;
  ASSERT_TRUE(bare->Attach(child));
  const auto whole = tree_->Create(leaf);
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(scope.Processes(Cgroup::Depth::kGroup).value(), std::vector<pid_t>{});
  EXPECT_EQ(whole->Processes(Cgroup::Depth::kGroup).value(), std::vector<pid_t>{child});
  if (!Controls("pids")) return;
  spec::Resources resources;
  resources.set_pids_limit(7);
  EXPECT_TRUE(whole->Apply(resources)) << "it has the controllers";
}

TEST_P(CgroupKernelTest, KillsEveryProcessBelowIncludingFrozenOnes) {
  const Cgroup one = Make("one");
  const Cgroup two = Make("two");
  const Cgroup above = tree_->OpenGroup(base_).value();
  const pid_t first = RunSleeper(one);
  const pid_t second = RunSleeper(two);
  const auto frozen = one.Freeze(Soon());
  ASSERT_TRUE(frozen) << frozen.error().message;
  const auto killed = above.KillAll(Soon());
  ASSERT_TRUE(killed) << killed.error().message;
  EXPECT_TRUE(WIFSIGNALED(Wait(first)));
  EXPECT_TRUE(WIFSIGNALED(Wait(second)));
  EXPECT_TRUE(above.Processes(Cgroup::Depth::kTree).value().empty());
}

TEST_P(CgroupKernelTest, KillsProcessesThatFleeByForking) {
  const Cgroup one = Make("one");
  auto ready = MakePipe().value();
  const pid_t child = Run(one, [&] {
    if (write(ready.write_end.get(), "x", 1) != 1) return 1;
    // Few at a time, but each lives for a moment only: its child goes on, and nobody needs reaping.
    signal(SIGCHLD, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int chain = 0; chain < 3; ++chain) {
      if (fork() != 0) continue;
      for (int generation = 0; generation < 100000; ++generation)
        if (fork() != 0) _exit(0);
      _exit(0);
    }
    while (true) pause();
    return 0;
  });
  ready.write_end.Reset();
  char byte;
  ASSERT_EQ(read(ready.read_end.get(), &byte, 1), 1);  // inside
  usleep(20000);
  const auto killed = one.KillAll(Soon());
  EXPECT_TRUE(killed) << killed.error().message;
  EXPECT_EQ(one.Processes(Cgroup::Depth::kTree).value().size(), 0u);
  Wait(child);
}

TEST_P(CgroupKernelTest, FreezesAndThaws) {
  const Cgroup one = Make("one");
  auto* counter = static_cast<std::atomic<int>*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  Run(one, [&] {
    while (true) {
      ++*counter;
      usleep(100);
    }
    return 0;
  });
  while (*counter == 0) usleep(1000);
  ASSERT_TRUE(one.Freeze(Soon()));
  const int at_freeze = *counter;
  usleep(20000);
  EXPECT_EQ(*counter, at_freeze);
  ASSERT_TRUE(one.Thaw(Soon()));
  while (*counter == at_freeze) usleep(1000);  // hangs where it does not thaw
  munmap(counter, 4096);
}

TEST_P(CgroupKernelTest, RemovesATreeButNotRunningProcesses) {
  Cgroup one = Make("one");
  Make("one/deep/deeper");
  const pid_t child = RunSleeper(tree_->OpenGroup(base_ + "/one/deep/deeper").value());
  const auto busy = one.Remove(Deadline::After(std::chrono::milliseconds(30)));
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(tree_->OpenGroup(base_ + "/one").value().KillAll(Soon()));
  Wait(child);
  Cgroup again = tree_->OpenGroup(base_ + "/one").value();
  const auto removed = again.Remove(Soon());
  EXPECT_TRUE(removed) << removed.error().message;
  EXPECT_FALSE(tree_->Exists(base_ + "/one"));
  EXPECT_TRUE(again.Remove(Soon())) << "absent is fine";
}

TEST_P(CgroupKernelTest, NeverRemovesAnotherGroupOfTheSameName) {
  Cgroup old = Make("one");
  ASSERT_TRUE(tree_->OpenGroup(base_ + "/one").value().Remove(Soon()));
  Make("one");
  ASSERT_TRUE(old.Remove(Soon()));
  EXPECT_TRUE(tree_->Exists(base_ + "/one"));
}

TEST_P(CgroupKernelTest, AHogIsKilledByItsMemoryLimit) {
  if (!Controls("memory")) GTEST_SKIP() << "no memory controller in this part";
  const Cgroup one = Make("one");
  spec::Resources limit;
  limit.set_memory_limit_bytes(16 << 20);
  limit.set_memory_swap_limit_bytes(16 << 20);
  const auto applied = one.Apply(limit);
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(one.Stats().value().memory().limit_bytes(), 16u << 20);
  EXPECT_EQ(one.OomKills().value(), 0u);
  const auto events = one.OpenOomEvents().value();
  const pid_t child = Run(one, [] {
    for (int i = 0; i < 64; ++i) memset(malloc(1 << 20), i + 1, 1 << 20);
    return 0;
  });
  pollfd readable{events.get(), POLLIN, 0};
  EXPECT_EQ(poll(&readable, 1, 60000), 1);
  Cgroup::DrainEvents(events.get());
  const int status = Wait(child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_EQ(one.OomKills().value(), 1u);
}

TEST_P(CgroupKernelTest, MemoryLimitsChangeWhileProcessesRun) {
  if (!Controls("memory")) GTEST_SKIP() << "no memory controller in this part";
  const Cgroup one = Make("one");
  RunSleeper(one);
  for (const int64_t mebibytes : {64, 128, 256, 32, 512}) {
    spec::Resources limit;
    limit.set_memory_limit_bytes(mebibytes << 20);
    limit.set_memory_swap_limit_bytes(mebibytes << 20);
    const auto applied = one.Apply(limit);
    ASSERT_TRUE(applied) << applied.error().message;
    EXPECT_EQ(one.Stats().value().memory().limit_bytes(), static_cast<uint64_t>(mebibytes) << 20);
  }
}

TEST_P(CgroupKernelTest, AForkBombIsStoppedByItsPidsLimit) {
  if (!Controls("pids")) GTEST_SKIP() << "no pids controller in this part";
  const Cgroup one = Make("one");
  spec::Resources limit;
  limit.set_pids_limit(5);
  ASSERT_TRUE(one.Apply(limit));
  const pid_t child = Run(one, [] {
    int made = 0;
    for (int i = 0; i < 10; ++i) {
      const pid_t grandchild = fork();
      if (grandchild == 0) {
        pause();
        _exit(0);
      }
      if (grandchild > 0) ++made;
    }
    return made;
  });
  EXPECT_EQ(WEXITSTATUS(Wait(child)), 4);
  EXPECT_EQ(one.Stats().value().pids(), 4u);
  EXPECT_EQ(one.Stats().value().pids_limit(), 5u);
}

TEST_P(CgroupKernelTest, ACpuHogIsThrottled) {
  if (!Controls("cpu")) GTEST_SKIP() << "no cpu controller in this part";
  const Cgroup one = Make("one");
  spec::Resources limit;
  limit.set_cpu_period_us(10000);
  limit.set_cpu_quota_us(1000);
  limit.set_cpu_shares(512);
  const auto applied = one.Apply(limit);
  ASSERT_TRUE(applied) << applied.error().message;
  Run(one, [] {
    while (getppid() != 0) {
    }
    return 0;
  });
  while (one.Stats().value().cpu().throttled_ns() == 0) usleep(5000);
  const auto cpu = one.Stats().value().cpu();
  EXPECT_GT(cpu.usage_ns(), 0u);
  EXPECT_GT(cpu.throttled_periods(), 0u);
  EXPECT_GE(cpu.periods(), cpu.throttled_periods());
}

// In the order of a kubelet that gives a pod more: the sandbox's group first, its own above it
// next.
TEST_P(CgroupKernelTest, ASandboxMayBeGivenMoreBeforeWhatIsAboveItHasMore) {
  if (!Controls("cpu")) GTEST_SKIP() << "this tree has no cpu controller";
  const Cgroup above = Make("above");
  const Cgroup sandbox = Make("above/sandbox");
  spec::Resources resources;
  const auto limit = [&](int64_t quota) {
    resources.set_cpu_period_us(100'000);
    resources.set_cpu_quota_us(quota);
    return LimitSandboxGroup(*tree_, base_ + "/above/sandbox", resources);
  };
  resources.set_cpu_period_us(100'000);
  resources.set_cpu_quota_us(20'000);
  ASSERT_TRUE(above.Apply(resources));
  ASSERT_TRUE(limit(20'000));
  const auto more = limit(30'000);
  ASSERT_TRUE(more) << more.error().message;
  ASSERT_TRUE(above.Apply(resources));
  const Cgroup container = Make("above/sandbox/container");
  const auto all = container.Apply(resources);
  EXPECT_TRUE(all) << "the container cannot have what the pod has: " << all.error().message;
  ASSERT_TRUE(limit(30'000));
  resources.set_cpu_quota_us(40'000);
  EXPECT_EQ(container.Apply(resources).has_value(), tree_->WithController("cpu")->v2)
      << "v1 compares";
}

TEST_P(CgroupKernelTest, RefusesImpossibleValuesNamingTheField) {
  const Cgroup one = Make("one");
  spec::Resources wrong;
  if (Controls("cpuset"))
    wrong.set_cpuset_cpus("4000");
  else
    wrong.set_pids_limit(-5);
  const auto refused = one.Apply(wrong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument) << refused.error().message;
}

TEST_P(CgroupKernelTest, DeniesEveryDeviceThatIsNotAllowed) {
  const Cgroup one = Make("one");
  const auto can_read = [&](const char* path) {
    return Run(one, [path] { return open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno; });
  };
  EXPECT_EQ(WEXITSTATUS(Wait(can_read("/dev/zero"))), 0);
  DeviceRule null_only{DeviceRule::Type::kCharacter, 1, 3, true, true, false};
  auto limited = one.AllowOnlyDevices({null_only});
  ASSERT_TRUE(limited) << limited.error().message;
  EXPECT_EQ(WEXITSTATUS(Wait(can_read("/dev/null"))), 0);
  EXPECT_EQ(WEXITSTATUS(Wait(can_read("/dev/zero"))), EPERM);
  limited =
      one.AllowOnlyDevices({null_only, {DeviceRule::Type::kCharacter, 1, 5, true, false, false}});
  ASSERT_TRUE(limited) << limited.error().message;
  EXPECT_EQ(WEXITSTATUS(Wait(can_read("/dev/zero"))), 0);
  EXPECT_EQ(
      WEXITSTATUS(Wait(Run(one, [] { return open("/dev/zero", O_WRONLY) >= 0 ? 0 : errno; }))),
      EPERM);
  ASSERT_TRUE(one.AllowOnlyDevices({DeviceRule::Everything()}));
  EXPECT_EQ(WEXITSTATUS(Wait(can_read("/dev/full"))), 0);
}

TEST_P(CgroupKernelTest, OpensAGroupThatACrashLeftInSomeHierarchiesOnly) {
  const Cgroup one = Make("one");
  const auto& first = tree_->hierarchies().front();
  const std::string path = (base_ + "/one").substr(1);
  if (tree_->hierarchies().size() > 1) {
    ASSERT_EQ(unlinkat(first.root.get(), path.c_str(), AT_REMOVEDIR), 0);
  }
  auto reopened = tree_->OpenGroup(base_ + "/one");
  ASSERT_TRUE(reopened);
  EXPECT_TRUE(reopened->KillAll(Soon()));
  EXPECT_TRUE(reopened->Remove(Soon()));
  EXPECT_FALSE(tree_->Exists(base_ + "/one"));
}

TEST_P(CgroupKernelTest, IsMadeAndRemovedWholeAfterAKillAtAnyStep) {
  const std::string path = base_ + "/killed/deep";
  const auto hierarchies = static_cast<int>(tree_->hierarchies().size());
  const auto make_and_fill = [&] {
    auto group = tree_->Create(path);
    spec::Resources limits;
    if (Controls("memory")) limits.set_memory_limit_bytes(64 << 20);
    if (Controls("pids")) limits.set_pids_limit(10);
    if (group && group->Apply(limits)) (void)group->Attach(0);
  };
  const int made = KillAtEveryStep(make_and_fill, [&](int) {
    auto again = tree_->Create(path);  // the next one finds whatever there is
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(again->Processes(Cgroup::Depth::kGroup).value().empty());
    EXPECT_TRUE(tree_->OpenGroup(base_ + "/killed").value().Remove(Soon()));
    EXPECT_FALSE(tree_->Exists(base_ + "/killed"));
  });
  EXPECT_GE(made, 3 * hierarchies);
  ASSERT_TRUE(tree_->Create(path));
  const int removed = KillAtEveryStep(
      [&] {
        if (auto group = tree_->OpenGroup(base_ + "/killed")) (void)group->Remove(Soon());
      },
      [&](int) {
        if (auto left = tree_->OpenGroup(base_ + "/killed")) {
          EXPECT_TRUE(left->Remove(Soon()));
        }
        EXPECT_FALSE(tree_->Exists(base_ + "/killed"));
        EXPECT_TRUE(tree_->Create(path));
      });
  EXPECT_GE(removed, 2 * hierarchies);
}

}  // namespace
}  // namespace catamaran

// Pods' groups made by systemd (cgroup_driver: systemd), which is asked from outside, by systemctl.
// In a run with CATAMARAN_E2E_CGROUP_DRIVER=systemd all other scenarios are with that driver too.
#include <sys/wait.h>

#include <nlohmann/json.hpp>

#include "e2e/harness/pod_test.h"
#include "e2e/harness/processes.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Systemd : public PodTest {
 protected:
  void SetUp() override {
    if (!TheWorld().paths().systemd)
      GTEST_SKIP() << "groups are made by cgroupfs: set " << kCgroupDriver
                   << "=systemd where process 1 is systemd";
    PodTest::SetUp();
  }
  void TearDown() override {
    if (TheWorld().paths().systemd) PodTest::TearDown();
  }

  static std::string ScopeOf(const std::string& pod) { return "catamaran-" + pod + ".scope"; }
  static std::string Systemctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "/usr/bin/systemctl");
    return RunProgram(arguments).output;
  }
  static std::string Property(const std::string& unit, const std::string& name) {
    std::string value = Systemctl({"show", "--value", "--property", name, unit});
    if (value.ends_with('\n')) value.pop_back();
    return value;
  }
  static std::string Group(const std::string& path, const std::string& file) {
    const auto text = ReadFile("/sys/fs/cgroup" + path + "/" + file);
    return text ? text->substr(0, text->find('\n')) : text.error().message;
  }
  std::string GroupOf(const std::string& pod) {
    return nlohmann::json::parse(SandboxOf(pod).info().at("info"))["cgroup"];
  }
  v1::PodSandboxStatusResponse SandboxOf(const std::string& pod) {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(pod);
    request.set_verbose(true);
    auto reply = cri().PodSandboxStatus(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    return reply.response;
  }
  static bool IsActive(const std::string& unit) {
    return Property(unit, "ActiveState") == "active";
  }
  static std::string SliceOfRun() { return TheWorld().paths().cgroup_root.substr(1); }
};

TEST_P(Systemd, HasAPodInADelegatedScopeOfItsSlice) {
  auto config = PodConfig("scope");
  const std::string stem = SliceOfRun().substr(0, SliceOfRun().rfind('.'));
  const std::string slice = stem + "-burstable.slice";
  config.mutable_linux()->set_cgroup_parent(world().paths().cgroup_root + "/" + slice);
  const std::string pod = RunPod(config);
  ASSERT_FALSE(pod.empty());
  StartSleeper(pod, "main");
  const std::string scope = ScopeOf(pod);
  EXPECT_EQ(Property(scope, "Slice"), slice);
  EXPECT_EQ(Property(scope, "Delegate"), "yes");
  EXPECT_EQ(Property(scope, "TasksMax"), "infinity");
  EXPECT_EQ(GroupOf(pod), Property(scope, "ControlGroup") + "/pod");
  EXPECT_EQ(Group(Property(scope, "ControlGroup"), "cgroup.procs"), "") << "all are below";
  const pid_t shim = FindPodProcess(scope, "catamaran-shim");
  ASSERT_NE(shim, 0);
  StopAndRemovePod(pod);
  EXPECT_TRUE(WaitUntil([&] { return Property(scope, "LoadState") == "not-found"; }));
  Systemctl({"stop", slice});  // as the kubelet does with its own
}

TEST_P(Systemd, LeavesLimitsAloneWhenItReloads) {
  const std::string pod = RunPod(PodConfig("reload"));
  ASSERT_FALSE(pod.empty());
  auto config = ShellConfig("main", "sleep 1000");
  auto* resources = config.mutable_linux()->mutable_resources();
  resources->set_memory_limit_in_bytes(64 << 20);
  resources->set_cpu_quota(50000);
  resources->set_cpu_period(100000);
  const std::string container = CreateAndStart(pod, config);
  const std::string group = GroupOf(pod);
  const auto limits = [&] {
    const std::string own = on_vm() ? group : group + "/" + container;
    return Group(own, "memory.max") + ", " + Group(own, "cpu.max") + ", " +
           Group(group, "cgroup.subtree_control");
  };
  const std::string before = limits();
  if (!on_vm()) {
    EXPECT_EQ(before.substr(0, before.find("cpuset")), "67108864, 50000 100000, ");
  }
  for (const char* verb : {"daemon-reload", "daemon-reexec"}) {
    Systemctl({verb});
    EXPECT_EQ(limits(), before) << verb;
    EXPECT_TRUE(IsActive(ScopeOf(pod))) << verb;
    const std::string next = RunPod(PodConfig("next"));
    EXPECT_FALSE(next.empty()) << "after " << verb;
  }
  EXPECT_EQ(Output(container, "echo lives"), "lives\n");
}

TEST_P(Systemd, PodsOutliveTheDaemonAndAreEndedByTheNext) {
  const std::string pod = RunPod(PodConfig("restart"));
  ASSERT_FALSE(pod.empty());
  const std::string container = StartSleeper(pod, "main");
  world().daemon().Kill();
  EXPECT_TRUE(IsActive(ScopeOf(pod)));
  ASSERT_TRUE(world().RestartDaemon());
  EXPECT_EQ(StatusOf(container).state(), v1::CONTAINER_RUNNING);
  StopAndRemovePod(pod);
  EXPECT_TRUE(WaitUntil([&] { return Property(ScopeOf(pod), "LoadState") == "not-found"; }));
}

// As an administrator can do: the pod is lost like one whose processes were killed.
TEST_P(Systemd, AScopeThatIsStoppedLosesItsPod) {
  const std::string pod = RunPod(PodConfig("stopped"));
  ASSERT_FALSE(pod.empty());
  const std::string container = StartSleeper(pod, "main");
  Systemctl({"kill", "--signal=KILL", ScopeOf(pod)});
  EXPECT_TRUE(WaitUntil([&] { return SandboxOf(pod).status().state() == v1::SANDBOX_NOTREADY; }));
  EXPECT_TRUE(WaitForState(container, v1::CONTAINER_EXITED));
}

// A killed shim of a daemon that was killed too: nobody has a record of what it was.
TEST_P(Systemd, SweepsScopesThatNoRecordOwns) {
  world().daemon().Kill();
  const std::string pod(64, 'e');
  const std::string description = "Kubernetes pod (Catamaran, " + world().paths().run() + ")";
  const auto start = [&](const std::string& unit, const std::string& what) {
    const auto started = StartProgram(
        {"/usr/bin/systemd-run", "--scope", "--quiet", "--unit", unit, "--slice", SliceOfRun(),
         "--property", "Description=" + what, "--property", "Delegate=yes", "/bin/sleep", "1000"},
        world().paths().base + "/systemd-run.log");
    EXPECT_TRUE(started);
    EXPECT_TRUE(WaitUntil([&] { return IsActive(unit); })) << unit;
    return *started;  // it executes the program in its place
  };
  const std::string others = "catamaran-" + std::string(64, 'f') + ".scope";
  const pid_t swept = start(ScopeOf(pod), description);
  const pid_t left = start(others, "Kubernetes pod (Catamaran, /run/of-another)");
  ASSERT_TRUE(world().RestartDaemon());
  EXPECT_TRUE(WaitUntil([&] { return Property(ScopeOf(pod), "LoadState") == "not-found"; }));
  EXPECT_TRUE(IsActive(others)) << "of a daemon with another run directory";
  Systemctl({"stop", others});
  for (const pid_t process : {swept, left}) waitpid(process, nullptr, 0);
}

TEST_P(Systemd, RefusesWhatIsNoSlice) {
  auto config = PodConfig("parent");
  config.mutable_linux()->set_cgroup_parent("/kubepods/burstable/pod1");
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  request.set_runtime_handler(GetParam());
  const auto reply = cri().RunPodSandbox(request);
  EXPECT_EQ(reply.code(), ErrorCode::kInvalidArgument) << reply.message();
  EXPECT_NE(reply.message().find("config.linux.cgroup_parent: '/kubepods/burstable/pod1' is wrong"),
            std::string::npos)
      << reply.message();
}

// What systemd refuses is an error of the pod's start, with systemd's words, and leaves nothing.
TEST_P(Systemd, ARefusalOfSystemdsFailsThePodAlone) {
  const std::string masked = SliceOfRun().substr(0, SliceOfRun().rfind('.')) + "-masked.slice";
  Systemctl({"mask", "--runtime", masked});
  auto config = PodConfig("refused");
  config.mutable_linux()->set_cgroup_parent(masked);
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  request.set_runtime_handler(GetParam());
  const auto reply = cri().RunPodSandbox(request);
  EXPECT_FALSE(reply.ok());
  EXPECT_NE(reply.message().find("start the shim: systemd: start catamaran-"), std::string::npos)
      << reply.message();
  EXPECT_NE(reply.message().find("masked"), std::string::npos) << reply.message();
  Systemctl({"unmask", "--runtime", masked});
  const std::string pod = RunPod(config);
  EXPECT_FALSE(pod.empty()) << "the name is free";
  StopAndRemovePod(pod);
  Systemctl({"stop", masked});
}

CATAMARAN_ON_EVERY_HANDLER(Systemd);

class SystemdDriver : public WorldTest {};

// Of the machine's pid namespace or not, with a bus or without.
TEST_F(SystemdDriver, IsRefusedAtStartWhereItCannotWork) {
  const std::string folder = world().NewFolder("no-systemd");
  WorldPaths paths = world().paths();
  paths.base = folder;
  paths.systemd = true;
  paths.cgroup_root = "/catamaran_e2e_refused.slice";
  for (const char* of : {"/root", "/run"}) ASSERT_TRUE(MakeDirectories(folder + of, 0700));
  ASSERT_TRUE(
      ReplaceFile(folder + "/config.yaml", ConfigText(paths), 0600, Durability::kProcessCrash));
  Daemon::Options options{folder + "/config.yaml", folder + "/log", {}};
  // Where all would be well the bus is hidden.
  options.environment.push_back("DBUS_SYSTEM_BUS_ADDRESS=unix:path=" + folder + "/no-bus");
  Daemon daemon(options);
  const auto started = daemon.Start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("cgroup_driver: systemd: "), std::string::npos)
      << started.error().message;
}

}  // namespace
}  // namespace catamaran::e2e

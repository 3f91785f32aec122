// What the containers of a pod share: names, files about names, sysctls, pid and ipc namespaces.
#include <unistd.h>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Namespaces : public PodTest {
 protected:
  static std::string HostName() {
    char name[256] = {};
    gethostname(name, sizeof(name) - 1);
    return name;
  }
  static std::string OwnNamespace(const std::string& kind) {
    char link[64] = {};
    EXPECT_GT(readlink(("/proc/self/ns/" + kind).c_str(), link, sizeof(link) - 1), 0);
    return std::string(link) + "\n";
  }
  static v1::NamespaceOption* OptionsOf(v1::PodSandboxConfig& config) {
    return config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  }
  static v1::NamespaceOption* OptionsOf(v1::ContainerConfig& config) {
    return config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  }
  Reply<v1::RunPodSandboxResponse> TryRun(const v1::PodSandboxConfig& config) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = config;
    request.set_runtime_handler(GetParam());
    return cri().RunPodSandbox(request);
  }
};

TEST_P(Namespaces, HostnameIsThePods) {
  auto config = PodConfig();
  config.set_hostname("my-host");
  const std::string id = StartSleeper(RunPod(config));
  EXPECT_EQ(Output(id, "hostname"), "my-host\n");
  EXPECT_EQ(Output(id, "cat /etc/hostname"), "my-host\n");
  EXPECT_NE(HostName(), "my-host");
}

TEST_P(Namespaces, HostsFileNamesThePodsAddress) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  const std::string hosts = Output(id, "cat /etc/hosts");
  EXPECT_NE(hosts.find("127.0.0.1"), std::string::npos) << hosts;
  EXPECT_NE(hosts.find(IpOf(pod)), std::string::npos) << hosts;
  EXPECT_NE(hosts.find(config_of(pod).hostname()), std::string::npos) << hosts;
}

TEST_P(Namespaces, ResolvConfIsTheRequests) {
  auto config = PodConfig();
  auto* dns = config.mutable_dns_config();
  dns->add_servers("10.10.10.10");
  dns->add_servers("fd00::1");
  dns->add_searches("a.example");
  dns->add_searches("b.example");
  dns->add_options("ndots:3");
  const std::string text = Output(StartSleeper(RunPod(config)), "cat /etc/resolv.conf");
  for (const char* line : {"search a.example b.example\n", "nameserver 10.10.10.10\n",
                           "nameserver fd00::1\n", "options ndots:3\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << text;
  }
}

TEST_P(Namespaces, ResolvConfIsTheHostsWhereNothingIsAsked) {
  const std::string id = StartSleeper(RunPod());
  EXPECT_EQ(Output(id, "cat /etc/resolv.conf"), *ReadFile("/etc/resolv.conf"));
}

TEST_P(Namespaces, SysctlsAreThePods) {
  auto config = PodConfig();
  auto& sysctls = *config.mutable_linux()->mutable_sysctls();
  sysctls["net.ipv4.tcp_keepalive_time"] = "777";
  sysctls["kernel.shm_rmid_forced"] = "1";
  sysctls["fs.mqueue.msg_max"] = "77";
  const std::string id = StartSleeper(RunPod(config));
  EXPECT_EQ(Output(id, "cat /proc/sys/net/ipv4/tcp_keepalive_time"), "777\n");
  EXPECT_EQ(Output(id, "cat /proc/sys/kernel/shm_rmid_forced"), "1\n");
  EXPECT_EQ(Output(id, "cat /proc/sys/fs/mqueue/msg_max"), "77\n");
  EXPECT_NE(*ReadFile("/proc/sys/fs/mqueue/msg_max"), "77\n");
}

TEST_P(Namespaces, ContainersHaveTheirOwnProcessesByDefault) {
  const std::string pod = RunPod();
  const std::string first = StartSleeper(pod, "first"), second = StartSleeper(pod, "second");
  for (const std::string& id : {first, second}) {
    EXPECT_EQ(Output(id, "cat /proc/1/comm"), "sh\n");
  }
  EXPECT_NE(Output(first, "readlink /proc/self/ns/pid"),
            Output(second, "readlink /proc/self/ns/pid"));
  for (const char* shared : {"net", "ipc", "uts"}) {
    const std::string script = std::string("readlink /proc/self/ns/") + shared;
    EXPECT_EQ(Output(first, script), Output(second, script));
    if (!on_vm()) {
      EXPECT_NE(Output(first, script), OwnNamespace(shared));
    }
  }
}

TEST_P(Namespaces, APodsProcessesAreSharedWhenAsked) {
  auto config = PodConfig();
  OptionsOf(config)->set_pid(v1::POD);
  const std::string pod = RunPod(config);
  auto start = [&](const std::string& name, const std::string& script) {
    auto container = ShellConfig(name, script);
    OptionsOf(container)->set_pid(v1::POD);
    return CreateAndStart(pod, container);
  };
  const std::string first = start("first", "exec sleep 4444");
  const std::string second = start("second", "exec sleep 5555");
  EXPECT_NE(Output(first, "ps").find("sleep 5555"), std::string::npos);
  EXPECT_NE(Output(second, "ps").find("sleep 4444"), std::string::npos);
  EXPECT_EQ(Output(first, "readlink /proc/self/ns/pid"),
            Output(second, "readlink /proc/self/ns/pid"));
  // The end of one leaves the other alone, and is seen although neither is process 1.
  v1::StopContainerRequest stop;
  stop.set_container_id(first);
  EXPECT_TRUE(cri().StopContainer(stop).ok());
  EXPECT_EQ(StatusOf(first).exit_code(), 137);
  EXPECT_EQ(StatusOf(second).state(), v1::CONTAINER_RUNNING);
}

TEST_P(Namespaces, ADebugContainerJoinsItsTargetsProcesses) {
  const std::string pod = RunPod();
  const std::string target = CreateAndStart(pod, ShellConfig("target", "sleep 6666; true"));
  auto config = ShellConfig("debug", "ps");
  OptionsOf(config)->set_pid(v1::TARGET);
  OptionsOf(config)->set_target_id(target);
  const Ended ended = RunToEnd(pod, config);
  EXPECT_NE(ended.out.find("sleep 6666"), std::string::npos) << ended.out << ended.err;
}

TEST_P(Namespaces, ADebugContainersTargetMustRun) {
  const std::string pod = RunPod();
  const std::string created = Create(pod, ShellConfig("created", "true"));
  const std::string ended = CreateAndStart(pod, ShellConfig("ended", "true"));
  ASSERT_TRUE(WaitForState(ended, v1::CONTAINER_EXITED));
  const std::string elsewhere = StartSleeper(RunPod());
  for (const std::string& target : {created, ended, elsewhere, std::string(64, 'a')}) {
    auto config = ShellConfig("debug", "ps");
    OptionsOf(config)->set_pid(v1::TARGET);
    OptionsOf(config)->set_target_id(target);
    const auto reply = TryCreate(pod, config);
    EXPECT_EQ(reply.code(), ErrorCode::kInvalidArgument) << target;
    EXPECT_NE(reply.message().find("target_id: \"" + target + "\" is not a running container"),
              std::string::npos)
        << reply.message();
  }
}

TEST_P(Namespaces, ATargetsEndEndsWhoSharesItsProcesses) {
  const std::string pod = RunPod();
  const std::string target = CreateAndStart(pod, ShellConfig("target", "sleep 1; exit 3"));
  auto config = ShellConfig("debug", "sleep 1000");
  OptionsOf(config)->set_pid(v1::TARGET);
  OptionsOf(config)->set_target_id(target);
  const std::string debug = CreateAndStart(pod, config);
  ASSERT_TRUE(WaitForState(target, v1::CONTAINER_EXITED));
  EXPECT_EQ(StatusOf(target).exit_code(), 3);
  // Its processes were of the pid namespace that ended with the target (pid_namespaces(7)).
  EXPECT_TRUE(WaitForState(debug, v1::CONTAINER_EXITED));
  EXPECT_EQ(StatusOf(debug).exit_code(), 137);
}

TEST_P(Namespaces, AUserNamespaceIsRefusedByNameOnVm) {
  if (!on_vm()) GTEST_SKIP() << "see UserNamespaces";
  auto config = PodConfig();
  auto* users = OptionsOf(config)->mutable_userns_options();
  users->set_mode(v1::POD);
  for (auto* range : {users->add_uids(), users->add_gids()}) {
    range->set_host_id(1'000'000);
    range->set_length(65536);
  }
  const auto reply = TryRun(config);
  EXPECT_EQ(reply.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(reply.message().find("userns_options.mode: 'POD' is wrong: must be NODE: a virtual "
                                 "machine's volumes are not id-mapped"),
            std::string::npos)
      << reply.message();
}

TEST_P(Namespaces, HostNetworkIsTheHostsOnNsAndRefusedOnVm) {
  auto config = PodConfig();
  OptionsOf(config)->set_network(v1::NODE);
  config.clear_hostname();
  if (on_vm()) {
    auto reply = TryRun(config);
    EXPECT_FALSE(reply.ok());
    EXPECT_NE(reply.message().find("network"), std::string::npos) << reply.message();
    return;
  }
  const std::string pod = RunPod(config);
  EXPECT_EQ(IpOf(pod), "");
  const std::string id = StartSleeper(pod);
  EXPECT_EQ(Output(id, "readlink /proc/self/ns/net"), OwnNamespace("net"));
  EXPECT_EQ(Output(id, "hostname"), HostName() + "\n");
}

TEST_P(Namespaces, HostPidShowsTheHostsProcessesOnNsAndIsRefusedOnVm) {
  auto config = PodConfig();
  OptionsOf(config)->set_pid(v1::NODE);
  if (on_vm()) {
    EXPECT_FALSE(TryRun(config).ok());
    return;
  }
  const std::string pod = RunPod(config);
  auto container = ShellConfig("main", "readlink /proc/self/ns/pid");
  OptionsOf(container)->set_pid(v1::NODE);
  EXPECT_EQ(RunToEnd(pod, container).out, OwnNamespace("pid"));
}

TEST_P(Namespaces, HostIpcIsTheHostsOnNsAndRefusedOnVm) {
  auto config = PodConfig();
  OptionsOf(config)->set_ipc(v1::NODE);
  if (on_vm()) {
    EXPECT_FALSE(TryRun(config).ok());
    return;
  }
  const std::string pod = RunPod(config);
  auto container = ShellConfig("main", "readlink /proc/self/ns/ipc");
  OptionsOf(container)->set_ipc(v1::NODE);
  EXPECT_EQ(RunToEnd(pod, container).out, OwnNamespace("ipc"));
}

CATAMARAN_ON_EVERY_HANDLER(Namespaces);

}  // namespace
}  // namespace catamaran::e2e

// What a container's process is given: arguments, environment, user, privileges.
#include <filesystem>
#include <fstream>

#include "e2e/harness/pod_test.h"
#include "e2e/harness/test_image.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Process : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    if (!HasFatalFailure()) pod_ = RunPod();
  }

  // Busybox under another name with what `change` makes of it. Removed before the leak comparison.
  std::string LoadVariant(const std::string& name,
                          const std::function<void(ImageDescription&)>& change) {
    auto image = BusyboxImage("docker.io/library/" + name + ":1");
    EXPECT_TRUE(image);
    change(*image);
    return LoadForThisTest(*image);
  }
  Ended Run(const v1::ContainerConfig& config) { return RunToEnd(pod_, config); }
  Ended Run(const std::string& script) { return Run(Shell(script)); }
  v1::ContainerConfig Shell(const std::string& script) {
    return ShellConfig("c" + std::to_string(++count_), script);
  }
  // Prints a field of /proc/self/status.
  static std::string StatusLine(const std::string& key) {
    return "sed -n 's/^" + key + ":[[:space:]]*//p' /proc/self/status";
  }

  std::string pod_;
  int count_ = 0;
};

TEST_P(Process, CommandAndArgsReplaceTheImages) {
  const std::string image = LoadVariant("process", [](ImageDescription& description) {
    description.entrypoint = {"/bin/echo", "entry"};
    description.command = {"cmd"};
  });
  auto with = [&](const std::vector<std::string>& command, const std::vector<std::string>& args) {
    auto config = ContainerConfig("c" + std::to_string(++count_), command);
    config.mutable_image()->set_image(image);
    for (const auto& arg : args) config.add_args(arg);
    return Run(config).out;
  };
  EXPECT_EQ(with({}, {}), "entry cmd\n");
  EXPECT_EQ(with({}, {"args"}), "entry args\n");
  EXPECT_EQ(with({"/bin/echo", "command"}, {}), "command\n");
  EXPECT_EQ(with({"/bin/echo", "command"}, {"args"}), "command args\n");
}

TEST_P(Process, EnvironmentIsTheImagesThenTheRequests) {
  const std::string image = LoadVariant("environment", [](ImageDescription& description) {
    description.environment = {"A=image", "B=image"};
  });
  auto config = Shell("echo $A $B $C; echo $HOSTNAME; echo $PATH");
  config.mutable_image()->set_image(image);
  auto add = [&](const char* key, const char* value) {
    auto* env = config.add_envs();
    env->set_key(key);
    env->set_value(value);
  };
  add("B", "request");
  add("C", "with spaces and \"quotes\"");
  EXPECT_EQ(Run(config).out,
            "image request with spaces and \"quotes\"\n" + config_of(pod_).hostname() +
                "\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
}

TEST_P(Process, WorkingDirectoryIsMadeWhereItIsMissing) {
  const std::string image = LoadVariant(
      "cwd", [](ImageDescription& description) { description.working_directory = "/home/daniel"; });
  auto config = Shell("pwd");
  config.mutable_image()->set_image(image);
  EXPECT_EQ(Run(config).out, "/home/daniel\n");
  config = Shell("pwd");
  config.set_working_dir("/made/on/demand");
  EXPECT_EQ(Run(config).out, "/made/on/demand\n");
  EXPECT_EQ(Run("pwd").out, "/\n");
}

TEST_P(Process, UserIsByNumberByNameOrTheImages) {
  EXPECT_EQ(Run("id -u; id -g").out, "0\n0\n");
  auto config = Shell("id -u; id -g");
  auto* context = config.mutable_linux()->mutable_security_context();
  context->mutable_run_as_user()->set_value(1000);
  EXPECT_EQ(Run(config).out, "1000\n1000\n");  // the group of /etc/passwd
  config = Shell("id -u; id -g");
  context = config.mutable_linux()->mutable_security_context();
  context->mutable_run_as_user()->set_value(4711);
  EXPECT_EQ(Run(config).out, "4711\n0\n");
  config = Shell("id -u; id -g");
  context = config.mutable_linux()->mutable_security_context();
  context->set_run_as_username("daniel");
  context->mutable_run_as_group()->set_value(50000);
  EXPECT_EQ(Run(config).out, "1000\n50000\n");
  const std::string image =
      LoadVariant("user", [](ImageDescription& description) { description.user = "daniel"; });
  config = Shell("id -u; id -g");
  config.mutable_image()->set_image(image);
  EXPECT_EQ(Run(config).out, "1000\n1000\n");
}

TEST_P(Process, AnUnknownUserNameIsRefused) {
  auto config = Shell("true");
  config.mutable_linux()->mutable_security_context()->set_run_as_username("nobody-knows");
  auto created = TryCreate(pod_, config);
  if (created.ok()) {  // the engine may only see it when it looks into the root file system
    v1::StartContainerRequest request;
    request.set_container_id(created->container_id());
    EXPECT_FALSE(cri().StartContainer(request).ok());
  } else {
    EXPECT_NE(created.message().find("nobody-knows"), std::string::npos) << created.message();
  }
}

TEST_P(Process, SupplementalGroupsAreMergedOrStrict) {
  for (const auto policy : {v1::Merge, v1::Strict}) {
    auto config = Shell("id -G; sleep 1000");
    auto* context = config.mutable_linux()->mutable_security_context();
    context->mutable_run_as_user()->set_value(1000);
    context->add_supplemental_groups(1234);
    context->set_supplemental_groups_policy(policy);
    const std::string id = CreateAndStart(pod_, config);
    ASSERT_TRUE(WaitUntil([&] { return !Log(id).empty(); }));
    EXPECT_EQ(Log(id)[0].text, policy == v1::Merge ? "1000 1234 50000" : "1000 1234");
    const auto user = StatusOf(id).user().linux();
    EXPECT_EQ(user.uid(), 1000);
    EXPECT_EQ(user.gid(), 1000);
    EXPECT_EQ(user.supplemental_groups_size(), policy == v1::Merge ? 3 : 2);
  }
}

TEST_P(Process, HasTheDefaultCapabilitiesAndNoMore) {
  // chown dac_override fsetid fowner mknod net_raw setgid setuid setfcap setpcap net_bind_service
  // sys_chroot kill audit_write
  EXPECT_EQ(Run(StatusLine("CapEff") + ";" + StatusLine("CapBnd") + ";" + StatusLine("CapInh") +
                ";" + StatusLine("CapAmb"))
                .out,
            "00000000a80425fb\n00000000a80425fb\n0000000000000000\n0000000000000000\n");
}

TEST_P(Process, CapabilitiesAreDroppedAndAdded) {
  auto config = Shell(StatusLine("CapEff"));
  auto* capabilities = config.mutable_linux()->mutable_security_context()->mutable_capabilities();
  capabilities->add_drop_capabilities("ALL");
  capabilities->add_add_capabilities("NET_ADMIN");
  EXPECT_EQ(Run(config).out, "0000000000001000\n");
  config = Shell(StatusLine("CapEff"));
  config.mutable_linux()->mutable_security_context()->mutable_capabilities()->add_drop_capabilities(
      "chown");
  EXPECT_EQ(Run(config).out, "00000000a80425fa\n");
}

TEST_P(Process, AnotherUserHasNoEffectiveCapabilities) {
  auto config = Shell(StatusLine("CapEff"));
  config.mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(1000);
  EXPECT_EQ(Run(config).out, "0000000000000000\n");
}

TEST_P(Process, AnotherUserKeepsTheAmbientCapabilities) {
  auto config = Shell(StatusLine("CapEff") + ";" + StatusLine("CapAmb"));
  auto* context = config.mutable_linux()->mutable_security_context();
  context->mutable_run_as_user()->set_value(1000);
  context->set_no_new_privs(true);
  context->mutable_capabilities()->add_drop_capabilities("ALL");
  context->mutable_capabilities()->add_add_ambient_capabilities("NET_BIND_SERVICE");
  EXPECT_EQ(Run(config).out, "0000000000000400\n0000000000000400\n");
}

TEST_P(Process, HasTheConfiguredLimits) {
  EXPECT_EQ(Run("sed -n 's/^Max pending signals *//p' /proc/self/limits | tr -s ' '").out,
            "777 888 signals \n");
}

TEST_P(Process, TheAppArmorProfileIsRefusedWhereThereIsNone) {
  auto config = Shell("true");
  config.mutable_linux()->mutable_security_context()->mutable_apparmor()->set_profile_type(
      v1::SecurityProfile::RuntimeDefault);
  if (!on_vm() && std::filesystem::exists("/sys/module/apparmor/parameters/enabled"))
    GTEST_SKIP() << "this host has AppArmor";
  const auto created = TryCreate(pod_, config);
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(created.message().find("has no AppArmor"), std::string::npos) << created.message();
}

TEST_P(Process, ASeccompProfileOfTheNodeIsApplied) {
  const std::string file = world().NewFolder("seccomp") + "/profile.json";
  std::ofstream(file) << R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 19}]})";
  auto config = Shell("mkdir /x 2>&1; touch /y && echo touched");
  auto* seccomp = config.mutable_linux()->mutable_security_context()->mutable_seccomp();
  seccomp->set_profile_type(v1::SecurityProfile::Localhost);
  seccomp->set_localhost_ref("localhost/" + file);
  EXPECT_EQ(Run(config).out, "mkdir: can't create directory '/x': No such device\ntouched\n");
}

TEST_P(Process, SeccompIsOnlyWhatWasAskedFor) {
  EXPECT_EQ(Run(StatusLine("Seccomp")).out, "0\n");
  auto config = Shell(StatusLine("Seccomp") + "; unshare -m true 2>&1 || echo refused");
  config.mutable_linux()->mutable_security_context()->mutable_seccomp()->set_profile_type(
      v1::SecurityProfile::RuntimeDefault);
  const Ended ended = Run(config);
  EXPECT_EQ(ended.out.substr(0, 2), "2\n");
  EXPECT_NE(ended.out.find("refused"), std::string::npos) << ended.out;
}

TEST_P(Process, NoNewPrivilegesIsSetWhenAsked) {
  EXPECT_EQ(Run(StatusLine("NoNewPrivs")).out, "0\n");
  auto config = Shell(StatusLine("NoNewPrivs"));
  config.mutable_linux()->mutable_security_context()->set_no_new_privs(true);
  EXPECT_EQ(Run(config).out, "1\n");
}

TEST_P(Process, HoldsNoDescriptorsButItsStdio) {
  // 3 is what ls reads the folder with.
  EXPECT_EQ(Run(ContainerConfig("main", {"/bin/ls", "/proc/self/fd"})).out, "0\n1\n2\n3\n");
}

TEST_P(Process, CannotMountOrReadHostDevices) {
  EXPECT_NE(Run("mount -t tmpfs none /tmp 2>/dev/null").exit_code, 0);
  EXPECT_EQ(Run("ls /dev | grep -E '^(mem|kmsg|vda|sda|loop0)$'").out, "");
  EXPECT_NE(Run("mknod /tmp/disk b 7 0 && head -c1 /tmp/disk 2>/dev/null").exit_code, 0);
}

TEST_P(Process, APrivilegedContainerNeedsAPrivilegedPodAndMayMount) {
  auto pod_config = PodConfig("privileged");
  pod_config.mutable_linux()->mutable_security_context()->set_privileged(true);
  const std::string pod = RunPod(pod_config);
  auto config = ShellConfig("main", "mount -t tmpfs none /tmp && echo mounted");
  config.mutable_linux()->mutable_security_context()->set_privileged(true);
  EXPECT_EQ(RunToEnd(pod, config).out, "mounted\n");
  auto refused = TryCreate(pod_, config);
  EXPECT_EQ(refused.code(), ErrorCode::kInvalidArgument) << refused.message();
}

TEST_P(Process, WhoMayAdministerThePodsNetworkCanMakeABridge) {
  auto config = Shell("brctl addbr pods0 && cat /sys/class/net/pods0/bridge/stp_state");
  config.mutable_linux()->mutable_security_context()->mutable_capabilities()->add_add_capabilities(
      "NET_ADMIN");
  EXPECT_EQ(Run(config).out, "0\n");
  StopAndRemovePod(pod_);  // with the bridge
}

TEST_P(Process, APrivilegedContainerHasWhatTheDaemonHas) {
  auto pod_config = PodConfig("privileged");
  pod_config.mutable_linux()->mutable_security_context()->set_privileged(true);
  const std::string pod = RunPod(pod_config);
  auto config = ShellConfig("main", StatusLine("CapBnd") + ";" + StatusLine("CapEff"));
  config.mutable_linux()->mutable_security_context()->set_privileged(true);
  const auto status = ReadFile("/proc/self/status");
  ASSERT_TRUE(status);
  const size_t at = status->find("CapBnd:\t");
  ASSERT_NE(at, std::string::npos);
  // A guest's agent has everything.
  const std::string all = on_vm() ? "000001ffffffffff" : status->substr(at + 8, 16);
  EXPECT_EQ(RunToEnd(pod, config).out, all + "\n" + all + "\n");
}

TEST_P(Process, ATerminalIsOneOnAllThreeDescriptors) {
  auto config = Shell("test -t 0 && test -t 1 && test -t 2 && echo terminal");
  config.set_tty(true);
  config.set_stdin(true);
  EXPECT_NE(Run(config).out.find("terminal"), std::string::npos);
}

CATAMARAN_ON_EVERY_HANDLER(Process);

}  // namespace
}  // namespace catamaran::e2e

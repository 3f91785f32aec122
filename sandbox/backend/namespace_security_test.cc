// Who a container's process is, what is hidden from it, and images that try to get out.
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "sandbox/backend/engine_fixture.h"
#include "sandbox/container/capabilities.h"
#include "sandbox/kernel/security_modules.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

using Credentials = EngineTest;
using HiddenPaths = EngineTest;
using HostileImages = EngineTest;
using Sysctls = EngineTest;

void WriteText(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

constexpr const char* kDefaultSet = "00000000a80425fb";
constexpr const char* kEmptySet = "0000000000000000";

TEST_F(Credentials, RootHasTheSetAndNothingInheritable) {
  CreateSandbox();
  auto report = Run({"ids", "caps", "nnp", "seccomp", "fds", "session", "pid", "cwd"});
  EXPECT_EQ(report["ids"], "0,0,0:0,0,0:0");
  EXPECT_EQ(report["CapBnd"], kDefaultSet);
  EXPECT_EQ(report["CapEff"], kDefaultSet);
  EXPECT_EQ(report["CapPrm"], kDefaultSet);
  EXPECT_EQ(report["CapInh"], kEmptySet);
  EXPECT_EQ(report["CapAmb"], kEmptySet);
  EXPECT_EQ(report["nnp"], "0");
  EXPECT_EQ(report["seccomp"], "0");
  EXPECT_EQ(report["fds"], "0,1,2");
  EXPECT_EQ(report["session"], report["pid"]);
  EXPECT_EQ(report["cwd"], "/");
}

TEST_F(Credentials, AUserByNameHasTheGroupsOfTheImageAndNoCapabilities) {
  CreateSandbox();
  WriteText(MakeImage("probe") / "etc/passwd", "web:x:1000:1001::/home/web:/bin/sh\n");
  WriteText(MakeImage("probe") / "etc/group", "web:x:1001:\nlogs:x:2000:web\n");
  auto spec = ProbeSpec("one", {"ids", "caps", "env:HOME", "stdout-again"});
  spec.mutable_process()->mutable_user()->set_user("web");
  spec.mutable_process()->mutable_user()->add_supplemental_groups(3000);
  auto created = Create(spec);
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->user().uid(), 1000U);
  EXPECT_EQ(created->user().gid(), 1001U);
  EXPECT_EQ(created->user().groups_size(), 3);
  ASSERT_TRUE(Start("one"));
  WaitExit("one");
  auto report = ParseReport(Stdout("one"));
  EXPECT_EQ(report["ids"], "1000,1000,1000:1001,1001,1001:1001,2000,3000");
  EXPECT_EQ(report["CapBnd"], kDefaultSet);
  EXPECT_EQ(report["CapEff"], kEmptySet);
  EXPECT_EQ(report["CapPrm"], kEmptySet);
  EXPECT_EQ(report["CapInh"], kEmptySet);
  EXPECT_EQ(report["env HOME"], "/home/web");
  EXPECT_EQ(report["stdout-again"], "ok");
}

TEST_F(Credentials, AUserKeepsTheAmbientCapabilitiesAlsoInAnExec) {
  CreateSandbox();
  constexpr const char* kNetBindService = "0000000000000400";
  auto spec = ProbeSpec("one", {"caps", "echo:ready", "forever"});
  spec.mutable_process()->mutable_user()->set_user("1000");
  spec.mutable_process()->set_no_new_privileges(true);
  spec.mutable_process()->mutable_capabilities()->add_ambient("CAP_NET_BIND_SERVICE");
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  WaitForOutput("one", "echo=ready");
  ASSERT_TRUE(Exec("one", "again", {"/probe", "caps"}));
  WaitExit("one", "again");
  auto in_exec = ParseReport(Stdout("one", "again"));
  EXPECT_EQ(in_exec["CapAmb"], kNetBindService);
  ASSERT_TRUE(Signal("one", SIGKILL));
  WaitExit("one");
  auto report = ParseReport(Stdout("one"));
  EXPECT_EQ(report["CapAmb"], kNetBindService);
  EXPECT_EQ(report["CapInh"], kNetBindService);
  EXPECT_EQ(report["CapEff"], kNetBindService);
  EXPECT_EQ(report["CapPrm"], kNetBindService);
  EXPECT_EQ(report["CapBnd"], kDefaultSet);
}

TEST_F(Credentials, FilterAndNoNewPrivilegesAreApplied) {
  CreateSandbox();
  for (const bool no_new_privileges : {false, true}) {
    auto spec = ProbeSpec(NextId(), {"nnp", "seccomp", "mount-tmpfs:/etc"});
    spec.mutable_process()->set_no_new_privileges(no_new_privileges);
    spec.mutable_process()->mutable_seccomp()->set_kind(spec::SeccompProfile::RUNTIME_DEFAULT);
    auto report = Run(spec);
    EXPECT_EQ(report["nnp"], no_new_privileges ? "1" : "0");
    EXPECT_EQ(report["seccomp"], "2");
    EXPECT_EQ(report["mount-tmpfs"], "EPERM");
  }
}

TEST_F(Credentials, TheOomScoreIsSet) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"read:/proc/self/oom_score_adj"});
  spec.mutable_process()->set_has_oom_score_adj(true);
  spec.mutable_process()->set_oom_score_adj(900);
  EXPECT_EQ(Run(spec)["read /proc/self/oom_score_adj"], "900");
  // Lower than the engine's own takes CAP_SYS_RESOURCE; without it the engine's own it is.
  spec = ProbeSpec("two", {"read:/proc/self/oom_score_adj"});
  spec.mutable_process()->set_has_oom_score_adj(true);
  spec.mutable_process()->set_oom_score_adj(-999);
  const std::string own = ReadFile("/proc/self/oom_score_adj").value();
  const bool may_lower =
      OwnBoundingSet().value().Has(CAP_SYS_RESOURCE) || atoi(own.c_str()) <= -999;
  EXPECT_EQ(Run(spec)["read /proc/self/oom_score_adj"],
            may_lower ? "-999" : own.substr(0, own.find('\n')));
}

TEST_F(Credentials, ALabelThatThisKernelCannotGiveFailsCreate) {
  if (KernelHasSelinux() && KernelHasAppArmor()) GTEST_SKIP() << "this kernel can give every label";
  CreateSandbox();
  auto selinux = ProbeSpec("one", {}), apparmor = ProbeSpec("two", {});
  selinux.mutable_process()->set_selinux_label("system_u:system_r:container_t:s0");
  apparmor.mutable_process()->set_apparmor_profile("cri-containerd.apparmor.d");
  const auto expect_refused = [&](const spec::ContainerSpec& spec, const std::string& field) {
    auto created = Create(spec);
    ASSERT_FALSE(created) << field;
    EXPECT_EQ(created.error().code, ErrorCode::kFailedPrecondition);
    EXPECT_NE(created.error().message.find(field), std::string::npos) << created.error().message;
  };
  if (!KernelHasSelinux()) expect_refused(selinux, "process.selinux_label");
  if (!KernelHasAppArmor()) expect_refused(apparmor, "process.apparmor_profile");
}

TEST_F(HiddenPaths, MaskedAndReadOnlyPathsAreSo) {
  CreateSandbox();
  WriteText(MakeImage("probe") / "bin/secret", "secret");
  WriteText(MakeImage("probe") / "folder/inside", "secret");
  WriteText(MakeImage("probe") / "folder2/inside", "secret");
  fs::create_directory_symlink("bin", MakeImage("probe") / "sbin");
  auto spec = ProbeSpec("one", {"stat:/bin/secret", "read:/bin/secret", "list:/folder",
                                "list:/folder2", "mkdir:/folder/x", "read:/proc/timer_list",
                                "open-write:/proc/sys/kernel/core_pattern", "open-write:/etc/fixed",
                                "read:/proc/keys"});
  WriteText(MakeImage("probe") / "etc/fixed", "x");
  for (const char* path :
       {"/sbin/secret", "/folder", "/folder2", "/proc/timer_list", "/proc/keys", "/no/such/path"})
    spec.add_masked_paths(path);
  for (const char* path : {"/proc/sys", "/etc/fixed", "/no/such/path"})
    spec.add_readonly_paths(path);
  auto report = Run(spec);
  EXPECT_EQ(report["stat /bin/secret"], "char 666 0:0 1:3");
  EXPECT_EQ(report["read /bin/secret"], "");
  EXPECT_EQ(report["list /folder"], "");
  EXPECT_EQ(report["list /folder2"], "");
  EXPECT_EQ(report["mkdir /folder/x"], "EROFS");
  EXPECT_EQ(report["read /proc/timer_list"], "");
  EXPECT_EQ(report["read /proc/keys"], "");
  EXPECT_EQ(report["open-write /proc/sys/kernel/core_pattern"], "EROFS");
  EXPECT_EQ(report["open-write /etc/fixed"], "EROFS");
}

// CVE-2019-19921, CVE-2023-27561, CVE-2026-41579.
TEST_F(HostileImages, LinksInThePlaceOfProcSysAndDevAreRefused) {
  CreateSandbox();
  for (const char* name : {"proc", "sys", "dev"}) {
    const auto image = MakeImage(name);
    fs::create_directories(image / "elsewhere");
    fs::create_directory_symlink("elsewhere", image / name);
    auto spec = ProbeSpec("one", {});
    spec.mutable_rootfs()->set_lower_directories(0, image);
    auto created = Create(spec);
    ASSERT_FALSE(created) << name;
    EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(created.error().message.find(std::string("/") + name + " is a symbolic link"),
              std::string::npos)
        << created.error().message;
  }
}

// CVE-2024-5154, CVE-2021-30465: mount points that are links out of the root.
TEST_F(HostileImages, LinksInThePlaceOfMountPointsStayInside) {
  CreateSandbox();
  const auto image = MakeImage("probe");
  const fs::path victim = folder_ / "victim";
  WriteText(victim / "file", "untouched");
  const std::string up = "../../../../../../../../../../../..";
  fs::create_symlink(up + (victim / "file").string(), image / "etc/hosts");
  fs::create_symlink(victim / "folder", image / "volume");
  WriteText(folder_ / "source/inside", "bound");
  auto spec = ProbeSpec("one", {"read:/etc/hosts", "list:/volume", "write:/etc/hosts:x"});
  auto* mount = spec.add_mounts();
  mount->set_container_path("/volume");
  mount->set_host_path(folder_ / "source");
  auto report = Run(spec);
  EXPECT_EQ(report["read /etc/hosts"], "127.0.0.1 localhost");
  EXPECT_EQ(report["list /volume"], "inside");
  EXPECT_EQ(ReadFile(victim / "file").value(), "untouched");
  EXPECT_EQ(ListDirectory(victim).value(), std::vector<std::string>{"file"});
}

// CVE-2024-21626.
TEST_F(HostileImages, AWorkingDirectoryThroughADescriptorIsRefused) {
  CreateSandbox();
  for (int fd = 3; fd < 12; ++fd) {
    auto spec = ProbeSpec("one", {"cwd"});
    spec.mutable_process()->set_cwd("/proc/self/fd/" + std::to_string(fd));
    auto created = Create(spec);
    ASSERT_FALSE(created) << fd;
    EXPECT_NE(created.error().message.find("process.cwd"), std::string::npos)
        << created.error().message;
  }
  WriteText(MakeImage("probe") / "etc/x", "");
  fs::create_directory_symlink("/proc/self/fd/8", MakeImage("probe") / "link");
  auto spec = ProbeSpec("one", {"cwd"});
  spec.mutable_process()->set_cwd("/link");
  EXPECT_FALSE(Create(spec));
}

// CVE-2025-31133: what masks a path does not come from the image.
TEST_F(HostileImages, ANullDeviceOfTheImageIsNotUsedForMasks) {
  CreateSandbox();
  const auto image = MakeImage("probe");
  fs::create_directories(image / "dev");
  fs::create_symlink("/proc/sys/kernel/core_pattern", image / "dev/null");
  auto spec = ProbeSpec("one", {"stat:/etc/masked", "stat:/dev/null"});
  WriteText(image / "etc/masked", "x");
  spec.add_masked_paths("/etc/masked");
  auto report = Run(spec);
  EXPECT_EQ(report["stat /etc/masked"], "char 666 0:0 1:3");
  EXPECT_EQ(report["stat /dev/null"], "char 666 0:0 1:3");
}

TEST_F(HostileImages, AFifoForAPasswdFileDoesNotHang) {
  CreateSandbox();
  ASSERT_EQ(mkfifo((MakeImage("probe") / "etc/passwd").c_str(), 0644), 0);
  auto spec = ProbeSpec("one", {});
  spec.mutable_process()->mutable_user()->set_user("web");
  auto created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(Sysctls, AreSetInThePodsNamespacesOnly) {
  auto sandbox = SandboxSpec();
  (*sandbox.mutable_sysctls())["net.ipv4.ip_unprivileged_port_start"] = "7";
  (*sandbox.mutable_sysctls())["kernel.shm_rmid_forced"] = "1";
  (*sandbox.mutable_sysctls())["fs.mqueue.msg_max"] = "33";
  const auto before = ReadFile("/proc/sys/kernel/shm_rmid_forced").value();
  CreateSandbox(sandbox);
  auto report = Run({"read:/proc/sys/net/ipv4/ip_unprivileged_port_start",
                     "read:/proc/sys/kernel/shm_rmid_forced", "read:/proc/sys/fs/mqueue/msg_max"});
  EXPECT_EQ(report["read /proc/sys/net/ipv4/ip_unprivileged_port_start"], "7");
  EXPECT_EQ(report["read /proc/sys/kernel/shm_rmid_forced"], "1");
  EXPECT_EQ(report["read /proc/sys/fs/mqueue/msg_max"], "33");
  EXPECT_EQ(ReadFile("/proc/sys/kernel/shm_rmid_forced").value(), before);
}

TEST_F(Sysctls, OfTheMachineAndMalformedOnesAreRefusedByName) {
  for (const char* name : {"kernel.core_pattern", "vm.swappiness", "net/../kernel/core_pattern",
                           "kernel.shm_rmid_forced+", "/proc/sys/kernel/sem", ""}) {
    auto sandbox = SandboxSpec();
    (*sandbox.mutable_sysctls())[name] = "1";
    auto created = TryCreateSandbox(sandbox);
    ASSERT_FALSE(created) << name;
    EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(created.error().message.find(name), std::string::npos);
    EXPECT_FALSE(fs::exists(folder_ / "state"));
  }
}

TEST_F(Sysctls, OneThatTheKernelRefusesUndoesTheSandbox) {
  auto sandbox = SandboxSpec();
  (*sandbox.mutable_sysctls())["net.ipv4.no_such_setting"] = "1";
  auto created = TryCreateSandbox(sandbox);
  ASSERT_FALSE(created);
  EXPECT_NE(created.error().message.find("net.ipv4.no_such_setting"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "state"));
  CreateSandbox();  // and another can be made
}

}  // namespace
}  // namespace catamaran

// A real machine: boots this build's guest and talks to its agent.

#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <fstream>
#include <set>

#include "sandbox/kernel/proc_status.h"
#include "vm-backend/host/accelerator.h"
#include "vm-backend/host/vm_test_util.h"
#include "vm-backend/host/vmm_confinement.h"

namespace catamaran {
namespace {

class VmBoot : public testing::Test {
 protected:
  void SetUp() override { loop_ = *EventLoop::Create(); }
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(VmBoot, ReachesAnAgentOnAKernelOfItsOwn) {
  VmPod pod(*loop_);
  const auto made = pod.Create(pod.MachineSandbox());
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_NE(made->boot_id(), *ReadBootId());
  utsname host{};
  uname(&host);
  EXPECT_FALSE(made->kernel_release().empty());
  EXPECT_NE(made->kernel_release(), host.release);
  EXPECT_EQ(made->details().at("launcher"), "qemu");
  for (const auto& [key, value] : made->details()) RecordProperty(key, value);

  const auto list =
      Await<pod::ListResponse>(*loop_, [&](auto done) { pod.backend().List(std::move(done)); });
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->sandbox_ready());

  ASSERT_TRUE(pod.Destroy());
  EXPECT_FALSE(Exists(pod.folder() / "data" / "writable.img"));
  EXPECT_TRUE(std::filesystem::is_empty(pod.folder() / "state"));
  EXPECT_TRUE(pod.Destroy()) << "destroying twice is success";
}

TEST_F(VmBoot, FailsWithAReasonWhenQemuIsKilled) {
  VmPod pod(*loop_);
  const auto made = pod.Create(pod.MachineSandbox());
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_EQ(kill(std::stoi(made->details().at("vmm_pid")), SIGKILL), 0);
  ASSERT_TRUE(RunUntil(*loop_, [&] { return !pod.events.empty(); }));
  EXPECT_TRUE(pod.events.back().has_failed());
  EXPECT_NE(pod.events.back().failed().reason().find("signal 9"), std::string::npos)
      << pod.events.back().failed().reason();
  const auto list =
      Await<pod::ListResponse>(*loop_, [&](auto done) { pod.backend().List(std::move(done)); });
  ASSERT_TRUE(list);
  EXPECT_FALSE(list->sandbox_ready());
  EXPECT_EQ(list->sandbox_reason(), pod.events.back().failed().reason());
}

TEST_F(VmBoot, IsRefusedWithoutAnAcceleratorUnlessEmulationIsAllowed) {
  if (ProbeKvm()) GTEST_SKIP() << "this host runs machines in hardware";
  VmPod pod(*loop_);
  auto sandbox = pod.MachineSandbox();
  sandbox.mutable_machine()->set_allow_emulation(false);
  const auto made = pod.Create(sandbox);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(made.error().message.find("allow_emulation"), std::string::npos);
  EXPECT_FALSE(Exists(pod.folder() / "data" / "writable.img"));
}

TEST_F(VmBoot, NamesTheFileThatIsMissing) {
  VmPod pod(*loop_);
  auto sandbox = pod.MachineSandbox();
  sandbox.mutable_machine()->set_kernel("/nowhere/vmlinuz");
  const auto made = pod.Create(sandbox);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("machine.kernel"), std::string::npos);
}

TEST_F(VmBoot, SaysWhatIsNoKernelAndWhatIsNoInitramfs) {
  VmPod pod(*loop_), other(*loop_);
  auto sandbox = pod.MachineSandbox();
  std::ofstream(pod.folder() / "text") << "#!/bin/sh\n";
  sandbox.mutable_machine()->set_kernel(pod.folder() / "text");
  auto made = pod.Create(sandbox);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("not a Linux kernel"), std::string::npos)
      << made.error().message;
  sandbox = other.MachineSandbox();
  sandbox.mutable_machine()->set_initramfs(pod.folder() / "text");
  made = other.Create(sandbox);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("machine.initramfs"), std::string::npos)
      << made.error().message;
}

TEST_F(VmBoot, SaysWhatQemuSaidWhenItCannotStart) {
  VmPod pod(*loop_);
  auto sandbox = pod.MachineSandbox();
  // A boot protocol from before there were initial ram disks (version 0 at 0x206).
  std::string head(0x2000, '\0');
  head.replace(0x202, 4, "HdrS");
  std::ofstream(pod.folder() / "ancient") << head;
  sandbox.mutable_machine()->set_kernel(pod.folder() / "ancient");
  const auto made = pod.Create(sandbox);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("too old to load a ram disk"), std::string::npos)
      << made.error().message;
}

TEST_F(VmBoot, NamesTheFileThatQemusUserCannotRead) {
  VmPod pod(*loop_);
  auto sandbox = pod.MachineSandbox();
  std::ofstream(pod.folder() / "kernel") << "x";
  ASSERT_EQ(chmod((pod.folder() / "kernel").c_str(), 0600), 0);
  sandbox.mutable_machine()->set_kernel(pod.folder() / "kernel");
  auto made = pod.Create(sandbox);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(made.error().message.find("machine.kernel"), std::string::npos) << made.error().message;
  sandbox = pod.MachineSandbox();
  sandbox.mutable_machine()->set_initramfs(pod.folder());
  VmPod other(*loop_);
  made = other.Create(sandbox);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("is not a file"), std::string::npos) << made.error().message;
}

TEST_F(VmBoot, TheMachineRunsConfined) {
  VmPod pod(*loop_);
  const auto made = pod.Create(pod.MachineSandbox());
  ASSERT_TRUE(made) << made.error().message;
  const std::string pid = made->details().at("vmm_pid");
  const auto status = [&](const char* field) {
    return ProcStatusField("/proc/" + pid + "/status", field);
  };
  const std::string user = std::to_string(*VmmUser());
  EXPECT_EQ(status("Uid"), fmt::format("{0}\t{0}\t{0}\t{0}", user));
  EXPECT_EQ(status("Gid"), fmt::format("{0}\t{0}\t{0}\t{0}", user));
  EXPECT_EQ(status("Groups").find_first_not_of(' '), std::string::npos);
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_EQ(status(set), "0000000000000000") << set;
  EXPECT_EQ(status("NoNewPrivs"), "1");
  EXPECT_EQ(status("Seccomp"), "2");
  EXPECT_TRUE(status("NSpid").ends_with("\t1")) << status("NSpid");
  for (const char* name : {"mnt", "pid", "net", "ipc", "uts"})
    EXPECT_NE(std::filesystem::read_symlink("/proc/" + pid + "/ns/" + name),
              std::filesystem::read_symlink(std::string("/proc/self/ns/") + name))
        << name;
  // Its "/" holds libraries, its program, the kernel it booted and nothing of this machine's.
  const auto seen = ListDirectory("/proc/" + pid + "/root");
  ASSERT_TRUE(seen) << seen.error().message;
  const std::set<std::string> known = {"etc",   "initramfs", "kernel", "lib",
                                       "lib32", "lib64",     "usr"};
  for (const std::string& name : *seen) EXPECT_TRUE(known.contains(name)) << name;
  EXPECT_EQ(*ListDirectory("/proc/" + pid + "/root/etc"), std::vector<std::string>{"ld.so.cache"});
  // Sockets, a disk without a name, what QEMU made for itself, and no file of the host.
  const auto descriptors = ListDirectory("/proc/" + pid + "/fd");
  ASSERT_TRUE(descriptors);
  for (const std::string& fd : *descriptors) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink("/proc/" + pid + "/fd/" + fd, gone);
    const bool disk = target == (pod.folder() / "data/writable.img").string() + " (deleted)";
    EXPECT_TRUE(disk || target == "/null" || !target.starts_with("/")) << fd << " is " << target;
  }
}

}  // namespace
}  // namespace catamaran

// A real machine: boots this build's guest and talks to its agent.

#include <signal.h>
#include <sys/utsname.h>

#include "vm-backend/host/accelerator.h"

#include "vm-backend/host/vm_test_util.h"

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

TEST_F(VmBoot, SaysWhatQemuSaidWhenItCannotStart) {
  VmPod pod(*loop_);
  auto sandbox = pod.MachineSandbox();
  sandbox.mutable_machine()->set_initramfs(pod.folder());  // a folder is no initramfs
  const auto made = pod.Create(sandbox);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("initrd"), std::string::npos) << made.error().message;
}

}  // namespace
}  // namespace catamaran

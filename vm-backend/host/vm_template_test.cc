// Real templates: QEMU saved once, restored many times.
#include <fcntl.h>

#include <set>

#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/host/host_findings.h"
#include "vm-backend/host/qemu_template.h"
#include "vm-backend/host/vm_test_util.h"

namespace catamaran {
namespace {

class VmTemplate : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = *EventLoop::Create();
    std::string pattern = (std::filesystem::temp_directory_path() / "vm-template-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    maker_ = MakeQemuTemplateMaker(*loop_);
    TemplateKeeper::Options options;
    options.root = HostPath(folder_ / "templates");
    keeper_ = std::make_unique<TemplateKeeper>(*loop_, *maker_, std::move(options));
    auto listener = ListenUnix(Socket(), SOCK_SEQPACKET);
    ASSERT_TRUE(listener) << listener.error().message;
    ASSERT_TRUE(keeper_->Serve(std::move(*listener)));
  }
  void TearDown() override {
    keeper_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string Socket() const { return folder_ / "socket"; }
  spec::SandboxSpec Sandbox(const VmPod& pod) const {
    auto sandbox = pod.MachineSandbox();
    sandbox.mutable_machine()->set_use_template(true);
    sandbox.mutable_machine()->set_template_socket(Socket());
    return sandbox;
  }

  // The first pod boots and has the template made; afterwards it is on disk.
  void MakeTemplate() {
    VmPod first(*loop_);
    const auto made = first.Create(Sandbox(first));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->details().at("start"), "booted");
    EXPECT_NE(made->details().at("template").find("being made"), std::string::npos);
    const bool kept = RunUntil(
        *loop_, [&] { return KeptTemplate() != ""; }, std::chrono::seconds(40));
    ASSERT_TRUE(kept) << "the keeper says: " << Again();
  }
  // Why there is no template.
  std::string Again() {
    VmPod pod(*loop_);
    const auto made = pod.Create(Sandbox(pod));
    return made ? made->details().at("template") : made.error().message;
  }
  std::string KeptTemplate() const {
    const auto names = ListDirectory(folder_ / "templates");
    if (!names) return "";
    for (const std::string& name : *names)
      if (!name.ends_with(".new")) return name;
    return "";
  }

  std::unique_ptr<EventLoop> loop_;
  std::filesystem::path folder_;
  std::unique_ptr<TemplateMaker> maker_;
  std::unique_ptr<TemplateKeeper> keeper_;
};

TEST_F(VmTemplate, ClonesAreRestoredEachWithABootIdOfItsOwn) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  std::set<std::string> boot_ids = {*ReadBootId()};
  for (int i = 0; i < 3; ++i) {
    VmPod pod(*loop_);
    const auto made = pod.Create(Sandbox(pod));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->details().at("start"), "restored");
    RecordProperty("restored_ms", made->details().at("restored_ms"));
    EXPECT_TRUE(boot_ids.insert(made->boot_id()).second) << made->boot_id();
    EXPECT_TRUE(pod.Destroy());
  }
}

TEST_F(VmTemplate, RunningClonesLeaveTheSharedMemoryAsItWas) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  VmPod pod(*loop_);
  const auto made = pod.Create(Sandbox(pod));
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_EQ(made->details().at("start"), "restored");
  const Template on_disk{*MakeTemplateFile("memory", 256 << 20), *MakeTemplateFile("state", 0)};
  ASSERT_TRUE(LoadTemplate(HostPath(folder_ / "templates"), KeptTemplate(), on_disk));
  // QEMU has the shared file open for writing: as its guest's prisoner it would try this.
  const std::string memory =
      fmt::format("/proc/{}/fd/{}", made->details().at("vmm_pid"), static_cast<int>(kQemuMemory));
  const auto shared = OpenFile(memory, O_RDWR);
  ASSERT_TRUE(shared) << shared.error().message;
  EXPECT_EQ(pwrite(shared->get(), "x", 1, 0), -1);
  EXPECT_EQ(fallocate(shared->get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20), -1);
  EXPECT_EQ(*DigestOf(shared->get()), *DigestOf(on_disk.memory.get()));
}

TEST_F(VmTemplate, TheHostIsProbedOnceForAllPods) {
  VmPod first(*loop_);
  ASSERT_TRUE(first.Create(Sandbox(first)));
  const auto found = ReadFile(folder_ / "host-findings");
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_TRUE(DecodeFindings(*found, HostIdentity::Now(), HostUptime()));
  // A pod that looked for itself would not come to this conclusion.
  HostFindings other{Fail(ErrorCode::kFailedPrecondition, "the first pod says so"), 0};
  ASSERT_TRUE(ReplaceFile(folder_ / "host-findings",
                          EncodeFindings(other, HostIdentity::Now(), HostUptime()), 0600,
                          Durability::kProcessCrash));
  VmPod second(*loop_);
  auto sandbox = Sandbox(second);
  sandbox.mutable_machine()->set_allow_emulation(false);
  const auto refused = second.Create(sandbox);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("the first pod says so"), std::string::npos)
      << refused.error().message;
}

TEST_F(VmTemplate, WithoutAKeeperAMachineBootsAndSaysWhy) {
  VmPod pod(*loop_);
  auto sandbox = Sandbox(pod);
  sandbox.mutable_machine()->set_template_socket(folder_ / "nobody");
  const auto made = pod.Create(sandbox);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->details().at("start"), "booted");
  EXPECT_NE(made->details().at("template").find("no template keeper"), std::string::npos);
}

}  // namespace
}  // namespace catamaran

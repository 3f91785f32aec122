// What a container can write at most: in a VM the size of its disk, on the machine what the
// configuration says, where the file system can keep it.
#include "e2e/harness/plain_pod.h"
#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr char kSmallVm[] = "vm-small";

class WritableLimits : public WorldTest {
 protected:
  void SetUp() override {
    WorldTest::SetUp();
    auto loaded = world().LoadTestImage();
    ASSERT_TRUE(loaded) << loaded.error().message;
    folder_ = world().NewFolder("limits");
  }
  std::unique_ptr<PlainPod> StartPod(const std::string& handler) {
    auto pod = std::make_unique<PlainPod>(
        cri(), PlainPod::Options{.handler = handler,
                                 .name = handler,
                                 .image = kImage,
                                 .command = {"/bin/sh", "-c", "while :; do sleep 1000; done"},
                                 .log_directory = world().NewFolder(handler)});
    for (const auto& step : {&PlainPod::Run, &PlainPod::Create, &PlainPod::Start}) {
      const auto done = ((*pod).*step)();
      EXPECT_TRUE(done) << handler << ": " << done.error().message;
    }
    return pod;
  }
  // How many MiB of `wanted` fitted, and what dd said.
  static std::string Fill(PlainPod& pod, int wanted) {
    auto output =
        pod.Output({"/bin/sh", "-c",
                    fmt::format("dd if=/dev/zero of=/filled bs=1M count={} 2>&1; true", wanted)});
    EXPECT_TRUE(output) << output.error().message;
    return output.value_or("");
  }
  std::string folder_;
};

// Needs a guest.
class WritableDisks : public WritableLimits {};

TEST_F(WritableDisks, OfAVmAreItsLimitAndNobodyElseMeetsIt) {
  const std::string disk = folder_ + "/small.img";
  const ProgramResult made = RunProgram(
      {"/bin/sh", "-c",
       "truncate -s 64M " + disk + " && mkfs.ext4 -q -F -m 0 -O ^has_journal,^resize_inode -E " +
           "root_owner=0:0 " + disk});
  ASSERT_EQ(made.exit_code, 0) << made.output;
  const std::string handler = fmt::format(
      "  - name: {}\n    backend: vm\n    machine:\n      template: off\n      writable_disk: {}\n",
      kSmallVm, disk);
  ASSERT_TRUE(ReplaceFile(world().config_file(), ConfigText(world().paths()) + handler, 0600,
                          Durability::kProcessCrash));
  ASSERT_EQ(world().daemon().Terminate(), 0);
  ASSERT_TRUE(world().RestartDaemon());
  {
    const auto small = StartPod(kSmallVm), other = StartPod(kVm);
    EXPECT_NE(Fill(*small, 100).find("No space left"), std::string::npos);
    EXPECT_EQ(Fill(*other, 100).find("No space left"), std::string::npos);
    auto freed = small->Output({"/bin/sh", "-c", "rm /filled && echo more > /file && cat /file"});
    ASSERT_TRUE(freed) << freed.error().message;
    EXPECT_EQ(*freed, "more\n");
  }
  EXPECT_EQ(world().daemon().Terminate(), 0);
  EXPECT_TRUE(world().Configure(""));
  EXPECT_TRUE(world().RestartDaemon());
}

TEST_F(WritableLimits, ThatTheFileSystemCannotKeepAreRefusedAtStart) {
  const std::string config = folder_ + "/config.yaml";
  ASSERT_TRUE(ReplaceFile(config,
                          "root: " + folder_ + "/root\nrun: " + folder_ +
                              "/run\ndefault_handler: small\nhandlers:\n  - name: small\n"
                              "    backend: ns\n    writable_layer_limit: 64Mi\n",
                          0600, Durability::kProcessCrash));
  const ProgramResult served = RunProgram(
      {"/usr/bin/timeout", "60", ProgramFolder() + "/catamaran", "serve", "--config", config});
  if (served.exit_code == 124) GTEST_SKIP() << "the file system here has project quotas";
  EXPECT_EQ(served.exit_code, 1) << served.output;
  EXPECT_NE(served.output.find("handler small: writable_layer_limit"), std::string::npos)
      << served.output;
  EXPECT_NE(served.output.find("prjquota"), std::string::npos) << served.output;
}

}  // namespace
}  // namespace catamaran::e2e

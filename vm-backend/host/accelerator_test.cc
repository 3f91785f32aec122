#include "vm-backend/host/accelerator.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace catamaran {
namespace {

Status Broken() {
  return Fail(ErrorCode::kFailedPrecondition, "KVM is not usable: cmpxchg16b fails");
}

TEST(Accelerator, IsKvmWhereTheProbePassed) {
  EXPECT_EQ(*ChooseAccelerator(Status(), /*allow_emulation=*/true), Accelerator::kKvm);
}

TEST(Accelerator, IsEmulationOnlyWhereAllowed) {
  EXPECT_EQ(*ChooseAccelerator(Broken(), /*allow_emulation=*/true), Accelerator::kTcg);
}

TEST(Accelerator, RefusalNamesTheProbeThatFailedAndTheRemedy) {
  const auto refused = ChooseAccelerator(Broken(), /*allow_emulation=*/false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("cmpxchg16b fails"), std::string::npos);
  EXPECT_NE(refused.error().message.find("allow_emulation"), std::string::npos);
}

// What a host answers depends on the host; but a probe that fails must say at which step.
TEST(KvmProbe, SaysWhatFailed) {
  const auto probed = ProbeKvm();
  if (probed) return;
  EXPECT_EQ(probed.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_GT(probed.error().message.size(), std::string("KVM is not usable: ").size());
}

TEST(KvmProbe, IsNotFooledByAHypervisorThatEmulatesInstructions) {
  if (access("/sys/module/kvm_pvm", F_OK) != 0)
    GTEST_SKIP() << "only on hosts whose KVM emulates most of a guest";
  ASSERT_FALSE(ProbeKvm());
}

TEST(HostTsc, IsTheSameWhenMeasuredAgain) {
  const uint64_t khz = HostTscKhz();
  EXPECT_EQ(khz % 10'000, 0u);
  const uint64_t again = HostTscKhz();
  EXPECT_LE(khz > again ? khz - again : again - khz, 10'000u);
}

}  // namespace
}  // namespace catamaran

#include "vm-backend/host/host_findings.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

using std::chrono::seconds;

const HostIdentity kHost{"8b1c-boot", "12.2600.77.5"};

HostFindings Good() { return {Status(), 2'450'000}; }
HostFindings Bad() {
  return {Fail(ErrorCode::kFailedPrecondition, "KVM is not usable: xsave fails"), 2'450'000};
}

TEST(HostFindings, HoldForTheRestOfTheBoot) {
  const std::string text = EncodeFindings(Good(), kHost, seconds(100));
  const auto later = DecodeFindings(text, kHost, seconds(90 * 86400));
  ASSERT_TRUE(later) << later.error().message;
  EXPECT_TRUE(later->kvm);
  EXPECT_EQ(later->tsc_khz, 2'450'000u);
}

TEST(HostFindings, AFailureHoldsForAMinuteAndKeepsItsReason) {
  const std::string text = EncodeFindings(Bad(), kHost, seconds(100));
  const auto soon = DecodeFindings(text, kHost, seconds(159));
  ASSERT_TRUE(soon) << soon.error().message;
  ASSERT_FALSE(soon->kvm);
  EXPECT_EQ(soon->kvm.error().message, "KVM is not usable: xsave fails");
  EXPECT_EQ(soon->tsc_khz, 2'450'000u);
  EXPECT_FALSE(DecodeFindings(text, kHost, seconds(160)));
}

TEST(HostFindings, SayNothingAboutAnotherBootOrAnotherDevice) {
  const std::string text = EncodeFindings(Good(), kHost, seconds(100));
  EXPECT_FALSE(DecodeFindings(text, {"another-boot", kHost.kvm}, seconds(101)));
  EXPECT_FALSE(DecodeFindings(text, {kHost.boot_id, "12.2600.99.1"}, seconds(101)));
  EXPECT_FALSE(DecodeFindings(text, {kHost.boot_id, ""}, seconds(101)));
}

TEST(HostFindings, ATornOrForeignFileIsNone) {
  const std::string text = EncodeFindings(Good(), kHost, seconds(100));
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(DecodeFindings(text.substr(0, length), kHost, seconds(101))) << length;
}

TEST(HostIdentity, NamesThisBoot) {
  EXPECT_EQ(HostIdentity::Now().boot_id.size(), 36u);
  EXPECT_EQ(HostIdentity::Now().kvm, HostIdentity::Now().kvm);
}

}  // namespace
}  // namespace catamaran

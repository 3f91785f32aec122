#include "sandbox/container/capabilities.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

namespace catamaran {
namespace {

TEST(Capabilities, HaveNamesInAnyCaseWithOrWithoutPrefix) {
  EXPECT_EQ(CapabilityNumber("CAP_NET_RAW").value(), CAP_NET_RAW);
  EXPECT_EQ(CapabilityNumber("net_raw").value(), CAP_NET_RAW);
  EXPECT_EQ(CapabilityNumber("Cap_Checkpoint_Restore").value(), CAP_CHECKPOINT_RESTORE);
  for (int number = 0; number <= CAP_LAST_CAP; ++number)
    EXPECT_EQ(CapabilityNumber(CapabilityName(number)).value(), number);
  EXPECT_EQ(CapabilityName(55), "CAP_55");
  for (const char* name : {"", "CAP_", "CAP_NOTHING", "CAP_CAP_KILL", "13"})
    EXPECT_EQ(CapabilityNumber(name).error().code, ErrorCode::kInvalidArgument) << name;
}

TEST(Capabilities, DefaultToTheFourteenOfDocker) {
  EXPECT_EQ(CapabilityNames(DefaultCapabilities()),
            (std::vector<std::string>{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",
                                      "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
                                      "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT",
                                      "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP"}));
}

TEST(Capabilities, AreNeverMoreThanWhatIsThere) {
  CapabilitySet available;
  available.Add(CAP_KILL);
  available.Add(CAP_CHOWN);
  spec::Capabilities wanted;
  wanted.add_bounding("CAP_KILL");
  wanted.add_bounding("CAP_SYS_RESOURCE");
  EXPECT_EQ(CapabilityNames(ResolveCapabilities(wanted, available).value()),
            std::vector<std::string>{"CAP_KILL"});
  wanted.set_all(true);
  EXPECT_EQ(ResolveCapabilities(wanted, available).value(), available);
  wanted.add_ambient("CAP_CHOWN");
  wanted.add_ambient("CAP_NET_RAW");
  EXPECT_EQ(CapabilityNames(ResolveAmbientCapabilities(wanted, available).value()),
            std::vector<std::string>{"CAP_CHOWN"});
  spec::Capabilities wrong;
  wrong.add_bounding("CAP_NOTHING");
  EXPECT_FALSE(ResolveCapabilities(wrong, available));
}

}  // namespace
}  // namespace catamaran

// Attacks of hostile_containers_test.cc against an engine that looks a name up again after it has
// checked it (checked_then_opened.cc, sources_opened_late.cc, device_node_by_name.cc,
// masks_from_the_container.cc, console_by_name.cc): they succeed, within the time that they are
// tried against the other.
#include "sandbox/hostile/hostile_container.h"

namespace catamaran {
namespace {

class EngineThatLooksTwice : public HostileContainer {
 protected:
  void SetUp() override {
    HostileContainer::SetUp();
    CreateSandbox();
  }
};

TEST_F(EngineThatLooksTwice, MakesAFolderOutside) {
  EXPECT_TRUE(MakeFolderOutside(kRaceIsLostWithin));
}

TEST_F(EngineThatLooksTwice, MountsAFolderOfTheHost) {
  EXPECT_TRUE(MountFolderOfHost(kRaceIsLostWithin));
}

TEST_F(EngineThatLooksTwice, ChangesAModeOutside) {
  EXPECT_TRUE(ChangeModeOutside(kRaceIsLostWithin));
}

TEST_F(EngineThatLooksTwice, ShowsAMaskedFile) { EXPECT_TRUE(ReadMaskedFile(kRaceIsLostWithin)); }

TEST_F(EngineThatLooksTwice, BindsWhatTheContainerChoseOverItsConsole) {
  EXPECT_TRUE(BindOverConsole());
}

}  // namespace
}  // namespace catamaran

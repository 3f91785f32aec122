// Attacks of hostile_containers_test.cc against an engine that takes paths as strings
// (without_root_confinement.cc, unchecked_working_directory.cc, descriptors_left_open.cc): they
// succeed, so it is those defences which stop them.
#include "sandbox/hostile/hostile_container.h"

namespace catamaran {
namespace {

class EngineByName : public HostileContainer {
 protected:
  void SetUp() override {
    HostileContainer::SetUp();
    CreateSandbox();
  }
};

TEST_F(EngineByName, GoesOutThroughLinks) {
  for (const auto& way : WaysOut()) EXPECT_TRUE(GoOut(way)) << way;
}

TEST_F(EngineByName, GivesAContainerAWorkingDirectoryOfTheHost) {
  EXPECT_TRUE(WorkInEnginesDescriptor(Of::kContainer));
  EXPECT_TRUE(WorkInEnginesDescriptor(Of::kContainerThroughLink));
  EXPECT_TRUE(WorkInEnginesDescriptor(Of::kExec));
}

}  // namespace
}  // namespace catamaran

// The attacks against the engine: they fail.
#include "sandbox/hostile/hostile_container.h"

namespace catamaran {
namespace {

class HostileContainers : public HostileContainer {
 protected:
  void SetUp() override {
    HostileContainer::SetUp();
    CreateSandbox();
  }
};
using HostileSandboxes = HostileContainer;

TEST_F(HostileContainers, LinksLeadNowhereOut) {
  for (const auto& way : WaysOut()) EXPECT_FALSE(GoOut(way)) << way;
  EXPECT_FALSE(VictimIsChanged());
}

TEST_F(HostileContainers, NoProcessWorksInADescriptorOfTheEngine) {
  EXPECT_FALSE(WorkInEnginesDescriptor(Of::kContainer));
  EXPECT_FALSE(WorkInEnginesDescriptor(Of::kContainerThroughLink));
  EXPECT_FALSE(WorkInEnginesDescriptor(Of::kExec));
}

TEST_F(HostileContainers, AFolderIsNotMadeOutsideThroughASharedVolume) {
  EXPECT_FALSE(MakeFolderOutside(kRaceTime));
}

TEST_F(HostileContainers, AFolderOfTheHostIsNotMountedThroughASharedVolume) {
  EXPECT_FALSE(MountFolderOfHost(kRaceTime));
}

TEST_F(HostileContainers, NoModeIsChangedOutsideThroughASharedVolume) {
  EXPECT_FALSE(ChangeModeOutside(kRaceTime));
}

TEST_F(HostileContainers, ANullDeviceThatIsSwappedMasksNothingLess) {
  EXPECT_FALSE(ReadMaskedFile(kRaceTime));
}

TEST_F(HostileContainers, NothingButTheTerminalIsTheConsole) { EXPECT_FALSE(BindOverConsole()); }

TEST_F(HostileContainers, NoLabelIsWrittenToAFalseProc) {
  for (const auto& way : WaysToFalseProc()) {
    std::string why_not;
    EXPECT_FALSE(RunWithoutLabel(way, &why_not)) << way;
    EXPECT_NE(why_not.find("mounted over"), std::string::npos) << way << ": " << why_not;
  }
}

TEST_F(HostileContainers, NothingIsInheritable) {
  for (const bool exec : {false, true}) EXPECT_EQ(CapabilitiesOfAUser(exec), "0000000000000000");
}

TEST_F(HostileContainers, TheReleaseAgentIsOutOfReach) {
  auto release = TakeReleaseAgent(/*privileges=*/false);
  EXPECT_NE(release.report["release-agent"], "ok");
  EXPECT_FALSE(release.ran_on_host);
}

TEST_F(HostileContainers, GiantUserFilesAreRefused) {
  for (const char* name : {"passwd", "group"}) {
    const std::string outcome = StartWithGiantUserFile(name);
    EXPECT_NE(outcome.find("larger than 1 MiB"), std::string::npos) << name << ": " << outcome;
  }
}

TEST_F(HostileContainers, FifosForUserFilesAreRefusedAtOnce) {
  for (const char* name : {"passwd", "group"}) {
    const std::string outcome = StartWithFifoForUserFile(name);
    EXPECT_NE(outcome.find("not a regular file"), std::string::npos) << name << ": " << outcome;
  }
}

TEST_F(HostileSandboxes, LimitsHoldInAUserNamespace) {
  if (auto mapped = CanIdMapImages(); !mapped) GTEST_SKIP() << mapped.error().message;
  const auto [started, executed] = ForksInAUserNamespace();
  EXPECT_LT(started, 20);
  EXPECT_LT(executed, 20);
}

TEST_F(HostileSandboxes, NoSysctlOfTheMachineIsChanged) {
  for (const auto& way : WaysToAnotherSysctl()) EXPECT_FALSE(ChangeMachinesSysctl(way)) << way;
}

}  // namespace
}  // namespace catamaran

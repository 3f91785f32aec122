// Attacks of hostile_containers_test.cc against an engine without its limits on privileges and
// sizes (without_capability_limits.cc, sysctls_as_text.cc, image_files_as_they_are.cc): they
// succeed, so it is those defences which stop them.
#include "sandbox/hostile/hostile_container.h"
#include "sandbox/kernel/cgroup.h"

namespace catamaran {
namespace {

class EngineWithoutLimits : public HostileContainer {};

TEST_F(EngineWithoutLimits, GivesAUserInheritableCapabilities) {
  CreateSandbox();
  for (const bool exec : {false, true}) EXPECT_NE(CapabilitiesOfAUser(exec), "0000000000000000");
}

TEST_F(EngineWithoutLimits, RunsAProgramOnTheHostByTheReleaseAgent) {
  if (CgroupTree::Open().value()->kind() == CgroupTree::Kind::kUnified)
    GTEST_SKIP() << "cgroup v1 cannot be mounted from a cgroup namespace where v2 has everything";
  CreateSandbox();
  auto release = TakeReleaseAgent(/*privileges=*/false);
  EXPECT_EQ(release.report["mount-cgroup1"], "ok");
  EXPECT_EQ(release.report["release-agent"], "ok");
  EXPECT_TRUE(release.ran_on_host);
}

TEST_F(EngineWithoutLimits, ChangesSysctlsOfTheMachine) {
  for (const auto& way : WaysToAnotherSysctl()) EXPECT_TRUE(ChangeMachinesSysctl(way)) << way;
}

TEST_F(EngineWithoutLimits, ReadsGiantUserFilesUntilTheMemoryIsOver) {
  CreateSandbox();
  for (const char* name : {"passwd", "group"}) {
    const std::string outcome = StartWithGiantUserFile(name);
    EXPECT_NE(outcome.find("OOM killer"), std::string::npos) << name << ": " << outcome;
  }
}

TEST_F(EngineWithoutLimits, WaitsForEverOnFifosForUserFiles) {
  CreateSandbox();
  for (const char* name : {"passwd", "group"})
    EXPECT_EQ(StartWithFifoForUserFile(name), "") << name;
}

}  // namespace
}  // namespace catamaran

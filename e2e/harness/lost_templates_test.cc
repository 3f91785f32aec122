// The run itself must fail where machines boot cold that should have been cloned, whatever the
// scenarios say: here a run whose templates are taken away, and the same run with them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "e2e/harness/daemon.h"
#include "e2e/harness/world.h"

namespace catamaran::e2e {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// One scenario that runs one pod in a machine.
ProgramResult RunOneScenario(const std::vector<std::string>& environment) {
  return RunProgram({ProgramFolder() + "/../tests/e2e_test", "--gtest_brief=1",
                     "--gtest_filter=On/Pods.VerboseStatusShowsTheStartTimeline/vm"},
                    environment);
}

TEST(LostTemplatesTest, ARunThatClonesPasses) {
  const ProgramResult run = RunOneScenario({});
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr(" 0 booted unasked"));
  EXPECT_THAT(run.output, Not(HasSubstr("booted cold")));
}

TEST(LostTemplatesTest, ARunThatBootsInsteadFailsWithScenarioPodAndReason) {
  const ProgramResult run = RunOneScenario({std::string(kLoseTemplates) + "=1"});
  EXPECT_EQ(run.exit_code, 1) << run.output;
  EXPECT_THAT(run.output, HasSubstr("0 restored, 0 booted as asked, 1 booted unasked"));
  EXPECT_THAT(run.output, ContainsRegex("cold boot not asked for: .*VerboseStatusShowsTheStart"
                                        "Timeline.*: pod [0-9a-f]+: booted \\([^)]+\\)"));
  EXPECT_THAT(run.output,
              HasSubstr("a machine booted cold that should have been cloned from a template"));
}

}  // namespace
}  // namespace catamaran::e2e

// Runs the scenarios in a private world; arguments are GoogleTest's.
#include <gtest/gtest.h>

#include <cstdio>

#include "e2e/harness/daemon_log.h"
#include "e2e/harness/private_world.h"
#include "e2e/harness/world.h"

namespace catamaran::e2e {
namespace {

// Says once more what failed, below the daemon's log: CI keeps the end of a long output.
void RepeatFailures() {
  const ::testing::UnitTest& run = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < run.total_test_suite_count(); ++i) {
    const ::testing::TestSuite& suite = *run.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const ::testing::TestInfo& test = *suite.GetTestInfo(j);
      for (int k = 0; k < test.result()->total_part_count(); ++k) {
        const ::testing::TestPartResult& part = test.result()->GetTestPartResult(k);
        if (!part.failed()) continue;
        fprintf(stderr, "failed: %s.%s, %s:%d\n%s\n", suite.name(), test.name(),
                part.file_name() == nullptr ? "?" : part.file_name(), part.line_number(),
                part.message());
      }
    }
  }
}

int RunScenarios(const WorldPaths& paths) {
  World world(paths);
  SetTheWorld(&world);
  if (auto started = world.Start(); !started) {
    fprintf(stderr, "e2e: %s\n", started.error().message.c_str());
    return 1;
  }
  int code = RUN_ALL_TESTS();
  if (world.machines().failed()) code = 1;
  if (code != 0) {
    ShowEndOfLog(paths);
    RepeatFailures();
  }
  for (const std::string& line : world.machines().Report())
    printf("virtual machines: %s\n", line.c_str());
  fflush(stdout);
  if (world.machines().failed())
    fprintf(stderr, "e2e: a machine booted cold that should have been cloned from a template\n");
  const int ended = world.daemon().Terminate();
  if (ended != 0) {
    fprintf(stderr, "e2e: the daemon ended with %d at SIGTERM\n", ended);
    return 1;
  }
  return code;
}

}  // namespace
}  // namespace catamaran::e2e

int main(int argc, char** argv) {
  using namespace catamaran::e2e;
  ::testing::InitGoogleTest(&argc, argv);
  if (::testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  const WorldPaths paths = MakeWorldPaths();
  return RunInPrivateWorld(paths, [&] { return RunScenarios(paths); });
}

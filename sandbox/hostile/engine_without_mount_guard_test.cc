// A volume over /proc in an engine that lets it (without_mount_guard.cc). Linked twice: where it
// also writes labels to whatever is at /proc (proc_by_path.cc) a program runs without its label;
// where it writes to a procfs of its own the program does not run.
#include "sandbox/hostile/hostile_container.h"

namespace catamaran {
namespace {

class EngineWithoutMountGuard : public HostileContainer {
 protected:
  void SetUp() override {
    HostileContainer::SetUp();
    CreateSandbox();
  }
};

TEST_F(EngineWithoutMountGuard, RunsAProgramWithoutItsLabel) {
  for (const auto& way : WaysToFalseProc()) {
    std::string why_not;
    EXPECT_EQ(RunWithoutLabel(way, &why_not), WRITES_BY_PATH) << way << ": " << why_not;
    if (WRITES_BY_PATH) continue;
    EXPECT_NE(why_not.find("apparmor_profile"), std::string::npos) << way << ": " << why_not;
  }
}

}  // namespace
}  // namespace catamaran

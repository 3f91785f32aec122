// The attacks against a shim as the daemon starts it: they fail.
#include <fcntl.h>
#include <unistd.h>

#include "shim/client/shim_spawn.h"
#include "shim/hostile/hostile_shim.h"

namespace catamaran {
namespace {

TEST_F(HostileShim, NoContainerOverwritesItsProgram) { EXPECT_EQ(OverwriteProgram(), "EPERM"); }

// What takes the sealed copy's place where memory cannot be executed.
TEST_F(HostileShim, AProgramOnItsReadOnlyMountCannotBeOpenedForWriting) {
  const auto program = OpenOnReadonlyMount(program_.string()).value();
  const std::string link = fmt::format("/proc/self/fd/{}", program.get());
  EXPECT_EQ(OpenFile(link, O_WRONLY).error().system_errno, EROFS);
  EXPECT_EQ(chmod(link.c_str(), 0777), -1);
  EXPECT_TRUE(OpenFile(program_, O_WRONLY)) << "its own path is the administrator's";
  auto manager = ShimManager::Create({program_.string()});
  ASSERT_TRUE(manager);
  auto process = SpawnProgram(program, {"catamaran-shim"}, {});
  ASSERT_TRUE(process) << "it can be executed";
  EXPECT_EQ(waitpid(process->pid, nullptr, 0), process->pid);
}

TEST_F(HostileShim, AnotherUserReachesNoSocketAndGetsNoAnswer) {
  EXPECT_EQ(GreetAsAnotherUser(Modes::kAsMade), "EACCES");
  EXPECT_EQ(GreetAsAnotherUser(Modes::kFoldersOpen), "EACCES");
  EXPECT_EQ(GreetAsAnotherUser(Modes::kAllOpen), "closed");
}

}  // namespace
}  // namespace catamaran

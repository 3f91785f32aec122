// Runs a command in a private world with a running daemon and a loaded test image, and compares
// before and after as the scenarios do. The command finds in its environment:
//   CATAMARAN_ENDPOINT     unix:///path of the CRI socket
//   CATAMARAN_IMAGE        name of the image that is there (busybox)
//   CATAMARAN_LOGS         a folder for pods' logs and volumes
//   CATAMARAN_DAEMON_PID   the daemon's process
//   CATAMARAN_CGROUP_ROOT  a group below which it may make the parents of pods' groups
// usage: run_in_world PROGRAM [ARGUMENT...]
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "e2e/harness/daemon_log.h"
#include "e2e/harness/leaks.h"
#include "e2e/harness/private_world.h"
#include "e2e/harness/processes.h"
#include "e2e/harness/world.h"

namespace catamaran::e2e {
namespace {

constexpr std::chrono::seconds kSettling{20};

void Export(World& world) {
  setenv("CATAMARAN_ENDPOINT", world.endpoint().c_str(), 1);
  setenv("CATAMARAN_IMAGE", kImage, 1);
  setenv("CATAMARAN_LOGS", world.paths().logs().c_str(), 1);
  setenv("CATAMARAN_DAEMON_PID", std::to_string(world.daemon().pid()).c_str(), 1);
  setenv("CATAMARAN_CGROUP_ROOT", world.paths().cgroup_root.c_str(), 1);
}

// With our own input and output, which RunProgram would take.
int RunCommand(char** command) {
  pid_t pid = 0;
  if (posix_spawnp(&pid, command[0], nullptr, nullptr, command, environ) != 0) {
    perror(command[0]);
    return 127;
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return ExitCodeOf(status);
}

int RunInWorld(const WorldPaths& paths, char** command) {
  World world(paths);
  auto ready = world.Start();
  if (ready) ready = world.LoadTestImage();
  if (!ready) {
    fprintf(stderr, "run_in_world: %s\n", ready.error().message.c_str());
    return 1;
  }
  Export(world);
  const Snapshot before = world.TakeSnapshot();
  int code = RunCommand(command);
  const auto left = DifferencesAfterSettling(
      before, [&] { return world.TakeSnapshot(); }, kSettling);
  for (const std::string& line : left) fprintf(stderr, "leak: %s\n", line.c_str());
  if (code == 0 && !left.empty()) code = 1;
  if (code != 0) ShowEndOfLog(paths);
  if (const int ended = world.daemon().Terminate(); ended != 0 && code == 0) {
    fprintf(stderr, "run_in_world: the daemon ended with %d at SIGTERM\n", ended);
    code = 1;
  }
  return code;
}

}  // namespace
}  // namespace catamaran::e2e

int main(int argc, char** argv) {
  using namespace catamaran::e2e;
  if (argc < 2) {
    fprintf(stderr, "usage: run_in_world PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  const WorldPaths paths = MakeWorldPaths();
  return RunInPrivateWorld(paths, [&] { return RunInWorld(paths, argv + 1); });
}

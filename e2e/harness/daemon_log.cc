#include "e2e/harness/daemon_log.h"

#include <cstdio>

#include "e2e/harness/daemon.h"

namespace catamaran::e2e {

void ShowEndOfLog(const WorldPaths& paths) {
  const ProgramResult tail = RunProgram({"/usr/bin/tail", "-n", "200", paths.base + "/daemon.log"});
  fprintf(stderr, "---- end of the daemon's log\n%s", tail.output.c_str());
}

}  // namespace catamaran::e2e

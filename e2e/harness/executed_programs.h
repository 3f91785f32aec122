#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran::e2e {

// A file that was executed: known by its inode, since a process in a mount namespace of its own may
// have it under any path.
struct ExecutedProgram {
  std::string path;  // as far as this process sees it
  dev_t device = 0;
  ino_t inode = 0;

  // Whether it is the file at this path.
  bool Is(const std::string& path) const;
};

// Which programs of the root file system are executed by processes of this pid namespace from now
// on, whoever starts them (fanotify(7), FAN_OPEN_EXEC): interpreters among them.
// Programs in memory and in containers' own file systems are not seen.
class ExecutedPrograms {
 public:
  static Result<ExecutedPrograms> Watch();

  // What was executed since the last call.
  Result<std::vector<ExecutedProgram>> Take();

 private:
  explicit ExecutedPrograms(UniqueFd events) : events_(std::move(events)) {}
  UniqueFd events_;
};

}  // namespace catamaran::e2e

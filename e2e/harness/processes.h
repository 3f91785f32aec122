#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace catamaran::e2e {

// From a status of waitpid(2): the exit code, or 128 + the signal that killed it.
int ExitCodeOf(int wait_status);

// Of the processes this one sees (a private world: those of the run). Zombies are not found.

// The process whose command line has all these words in it; 0 where none has.
pid_t FindProcess(const std::vector<std::string>& words);

// The process of this name (/proc/PID/comm, at most 15 characters) in the cgroup of a pod or in one
// below it; 0 where there is none.
pid_t FindPodProcess(const std::string& pod, const std::string& name);

}  // namespace catamaran::e2e

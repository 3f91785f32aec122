#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "sandbox/base/abort_step.h"

namespace catamaran {

// Runs `work` in a copy of this process that is killed at its N-th step, for N = 1, 2, ... until it
// gets through, and `after` each time, told N. Returns how many steps there were. For tests with
// one thread.
inline int KillAtEveryStep(const std::function<void()>& work,
                           const std::function<void(int step)>& after) {
  for (int step = 1; step < 500; ++step) {
    const pid_t child = fork();
    if (child == 0) {
      ArmAbortStep(step);
      work();
      _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    after(step);
    if (WIFEXITED(status)) return step - 1;
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    if (testing::Test::HasFailure()) return step;
  }
  ADD_FAILURE() << "never got through";
  return 0;
}

}  // namespace catamaran

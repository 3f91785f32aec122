// catamaran-guest-runner: the init of a guest that exists to run one program, for tests. Sets the
// guest up as the agent does, runs /payload with the NUL-separated words of /payload-arguments,
// says how it ended on the console and stops the machine.

#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "sandbox/base/files.h"
#include "vm-backend/agent/guest_init.h"

namespace {

int RunPayload() {
  const auto text = catamaran::ReadFile("/payload-arguments", 1 << 20);
  std::vector<std::string> words = {"/payload"};
  for (size_t start = 0; text && start < text->size();) {
    words.push_back(text->c_str() + start);
    start += words.back().size() + 1;
  }
  std::erase(words, "");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    // Exempt from the OOM killer is this process, not what it runs.
    (void)catamaran::WriteExisting("/proc/self/oom_score_adj", "0");
    setenv("PATH", "/usr/bin:/bin", 1);
    execv(arguments[0], arguments.data());
    perror("execute /payload");
    _exit(127);
  }
  int status = 0;
  for (pid_t ended = 0; ended != child;) ended = waitpid(-1, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

int main() {
  if (getpid() != 1) {
    fprintf(stderr, "catamaran-guest-runner is the init of a guest; see run-in-guest.sh\n");
    return 2;
  }
  const auto ready = catamaran::SetUpGuest();
  if (!ready) fprintf(stderr, "guest-runner: %s\n", ready.error().message.c_str());
  mkdir("/tmp", 01777);
  mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777");
  const int code = ready ? RunPayload() : 1;
  printf("\nguest-runner: exit code %d\n", code);
  fflush(stdout);
  sync();
  reboot(RB_AUTOBOOT);
}

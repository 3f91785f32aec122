#include "shim/client/shim_spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// posix_spawn's dup2 actions run in order: sources must not be overwritten by an earlier target.
constexpr int kFirstSafeFd = 16;

Result<UniqueFd> DuplicateHigh(int fd) {
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, kFirstSafeFd));
  if (!copy.valid()) return FailWithErrno("duplicate descriptor {}", fd);
  return copy;
}

struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  explicit SpawnSettings(const SpawnOptions& options) {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (options.own_process_group) flags |= POSIX_SPAWN_SETPGROUP;  // 0: the child's own number
    posix_spawnattr_setflags(&attributes, flags);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Result<SpawnedProcess> SpawnProgram(const UniqueFd& program, const std::vector<std::string>& args,
                                    const std::vector<std::pair<int, int>>& descriptors,
                                    const SpawnOptions& options) {
  SpawnSettings settings(options);
  std::vector<UniqueFd> copies;
  int highest = kShimProgramFd;
  posix_spawn_file_actions_addopen(&settings.actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&settings.actions, 1, "/dev/null", O_WRONLY, 0);
  std::vector<std::pair<int, int>> all = descriptors;
  all.emplace_back(program.get(), kShimProgramFd);
  for (const auto& [source, target] : all) {
    ASSIGN_OR_RETURN(auto copy, DuplicateHigh(source));
    posix_spawn_file_actions_adddup2(&settings.actions, copy.get(), target);
    copies.push_back(std::move(copy));
    highest = std::max(highest, target);
  }
  posix_spawn_file_actions_addclosefrom_np(&settings.actions, highest + 1);
  std::vector<char*> argv = Pointers(args), envp = Pointers(options.environment);
  const std::string path = fmt::format("/proc/self/fd/{}", kShimProgramFd);
  SpawnedProcess process;
  const int error = posix_spawn(&process.pid, path.c_str(), &settings.actions, &settings.attributes,
                                argv.data(), options.environment.empty() ? environ : envp.data());
  if (error != 0) return FailErrno(error, "start " + args[0]);
  // Ours until it is reaped: the number cannot have been given to another process.
  process.pidfd = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  if (!process.pidfd.valid()) {
    const auto failure = FailWithErrno("pidfd_open {}", process.pid);
    kill(process.pid, SIGKILL);
    waitpid(process.pid, nullptr, 0);
    return failure;
  }
  return process;
}

}  // namespace catamaran

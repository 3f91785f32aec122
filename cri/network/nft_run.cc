#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cri/network/nft_rules.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// Services often run without sbin in their PATH.
constexpr const char* kPlaces[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft",
                                   "/usr/local/sbin/nft"};
constexpr size_t kLongestMessage = 4096;

Result<UniqueFd> MemoryFile(const char* name, std::string_view content) {
  UniqueFd file(memfd_create(name, MFD_CLOEXEC));
  if (!file.valid()) return FailWithErrno("memfd_create");
  RETURN_IF_ERROR(WriteAll(file.get(), content));
  if (lseek(file.get(), 0, SEEK_SET) != 0) return FailWithErrno("lseek");
  return file;
}

// Reads rules from `input`; everything it says goes to `output`.
Result<pid_t> StartNft(const UniqueFd& input, const UniqueFd& output) {
  const char* program = nullptr;
  for (const char* place : kPlaces)
    if (program == nullptr && access(place, X_OK) == 0) program = place;
  if (program == nullptr)
    return Fail(ErrorCode::kFailedPrecondition,
                "nft is not installed: the built-in network needs the package nftables");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const Cleanup free_actions([&] { posix_spawn_file_actions_destroy(&actions); });
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.get(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  const Cleanup free_attributes([&] { posix_spawnattr_destroy(&attributes); });
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const char* arguments[] = {program, "-f", "-", nullptr};
  pid_t child = 0;
  const int error =
      posix_spawn(&child, program, &actions, &attributes, const_cast<char**>(arguments), environ);
  if (error != 0) return FailErrno(error, "start nft");
  return child;
}

}  // namespace

Status RunNft(const std::string& rules, Deadline deadline) {
  ASSIGN_OR_RETURN(const auto input, MemoryFile("nft-rules", rules));
  ASSIGN_OR_RETURN(const auto output, MemoryFile("nft-output", ""));
  ASSIGN_OR_RETURN(const pid_t child, StartNft(input, output));
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  pollfd ended{pidfd.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&ended, 1, static_cast<int>(deadline.Remaining().count()));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) kill(child, SIGKILL);  // ours until it is reaped below
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  AbortStep();
  if (ready == 0) return Fail(ErrorCode::kDeadlineExceeded, "nft did not end in time");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  lseek(output.get(), 0, SEEK_SET);
  const auto message = ReadAll(output.get(), kLongestMessage);
  return Fail(ErrorCode::kInternal, "nft failed: {}", message.value_or("and said too much"));
}

}  // namespace catamaran

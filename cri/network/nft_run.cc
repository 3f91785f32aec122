#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cri/network/nft_rules.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "shim/client/shim_spawn.h"

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

Result<UniqueFd> OpenNft() {
  for (const char* place : kPlaces)
    if (auto program = OpenFile(place, O_RDONLY)) return program;
  return Fail(ErrorCode::kFailedPrecondition,
              "nft is not installed: the built-in network needs the package nftables");
}

}  // namespace

Status RunNft(const std::string& rules, Deadline deadline) {
  ASSIGN_OR_RETURN(const auto input, MemoryFile("nft-rules", rules));
  ASSIGN_OR_RETURN(const auto output, MemoryFile("nft-output", ""));
  ASSIGN_OR_RETURN(const auto program, OpenNft());
  ASSIGN_OR_RETURN(const auto process, SpawnProgram(program, {"nft", "-f", "-"},
                                                    {{input.get(), STDIN_FILENO},
                                                     {output.get(), STDOUT_FILENO},
                                                     {output.get(), STDERR_FILENO}}));
  pollfd ended{process.pidfd.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&ended, 1, static_cast<int>(deadline.Remaining().count()));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) kill(process.pid, SIGKILL);  // ours until it is reaped below
  int status = 0;
  while (waitpid(process.pid, &status, 0) < 0 && errno == EINTR) {
  }
  AbortStep();
  if (ready == 0) return Fail(ErrorCode::kDeadlineExceeded, "nft did not end in time");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  lseek(output.get(), 0, SEEK_SET);
  const auto message = ReadAll(output.get(), kLongestMessage);
  return Fail(ErrorCode::kInternal, "nft failed: {}", message.value_or("and said too much"));
}

}  // namespace catamaran

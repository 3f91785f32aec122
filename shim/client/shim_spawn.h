#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// What a shim is born with.
inline constexpr int kShimListenerFd = 3;
inline constexpr int kShimLockFd = 4;
inline constexpr int kShimProgramFd = 5;  // closed by the shim itself
// Of `catamaran-shim network-namespace`, which has neither of the first two: where it answers.
inline constexpr int kNamespaceSocketFd = 6;
// In the pod's folder, where a shim could not begin: why.
inline constexpr char kShimErrorFile[] = "shim.error";

struct SpawnedProcess {
  pid_t pid = 0;
  UniqueFd pidfd;
};

struct SpawnOptions {
  std::vector<std::string> environment;  // NAME=value; empty: this process's own
  bool own_process_group = false;        // so that it can be killed with all that it starts
};

// posix_spawn(3) of the program behind `program` with these descriptors, standard error, /dev/null
// as the other two, and no others (close-from). Safe in a threaded process: it never runs our code
// between fork and exec. The child gets default signal dispositions and an empty mask. The caller
// reaps it.
Result<SpawnedProcess> SpawnProgram(const UniqueFd& program, const std::vector<std::string>& args,
                                    const std::vector<std::pair<int, int>>& descriptors,
                                    const SpawnOptions& options = {});

// A copy of the program that nothing can write to, for all shims of this daemon: their pages are
// shared, and a container that reaches /proc/<pid>/exe cannot overwrite it (CVE-2019-5736). A
// sealed memfd; where vm.memfd_noexec forbids executing one, OpenOnReadonlyMount. shim_program.cc
Result<UniqueFd> OpenProgramForShims(const std::string& path);
// The file itself on a read-only mount of its own, attached nowhere: opened again by
// /proc/<pid>/exe it still cannot be written. Needs CAP_SYS_ADMIN.
Result<UniqueFd> OpenOnReadonlyMount(const std::string& path);

}  // namespace catamaran

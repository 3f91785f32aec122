#include "sandbox/container/process_census.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <string_view>

namespace catamaran {
namespace {

struct Descriptors {
  uint64_t all = 0;
  uint64_t sockets = 0;
};

// False where the budget did not suffice. readlink(2) of a descriptor's entry gives its name
// without asking the file system that it is on; stat(2) would ask, and a FUSE server may never
// answer.
bool Count(const std::string& folder, DescriptorBudget& budget, Descriptors& count) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(folder.c_str()), closedir);
  if (!stream) return true;  // it has ended
  constexpr std::string_view kSocket = "socket:[";
  while (const dirent* entry = readdir(stream.get())) {
    if (entry->d_name[0] == '.') continue;
    if (budget.left == 0) return false;
    --budget.left;
    ++count.all;
    char name[kSocket.size()];
    const ssize_t length = readlinkat(dirfd(stream.get()), entry->d_name, name, sizeof name);
    if (length == sizeof name && std::string_view(name, sizeof name) == kSocket) ++count.sockets;
  }
  return true;
}

}  // namespace

spec::ProcessStats CountProcesses(const std::vector<pid_t>& processes, DescriptorBudget& budget,
                                  const std::string& proc) {
  spec::ProcessStats stats;
  stats.set_processes(processes.size());
  Descriptors descriptors;
  for (const pid_t process : processes)
    if (!Count(fmt::format("{}/{}/fd", proc, process), budget, descriptors)) return stats;
  stats.set_file_descriptors(descriptors.all);
  stats.set_sockets(descriptors.sockets);
  return stats;
}

std::optional<uint64_t> SoftOpenFiles(pid_t process) {
  rlimit limit{};
  if (process <= 0 || prlimit(process, RLIMIT_NOFILE, nullptr, &limit) != 0) return std::nullopt;
  return limit.rlim_cur;
}

}  // namespace catamaran

#include "e2e/harness/processes.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

namespace catamaran::e2e {
namespace {

namespace fs = std::filesystem;

std::string Content(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

pid_t Find(const std::function<bool(const fs::path&)>& fits) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const pid_t pid = atoi(entry.path().filename().c_str());
    if (pid > 0 && fits(entry.path())) return pid;
  }
  return 0;
}

}  // namespace

int ExitCodeOf(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

pid_t FindProcess(const std::vector<std::string>& words) {
  return Find([&](const fs::path& process) {
    const std::string line = Content(process / "cmdline");
    return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
      return line.find(word) != std::string::npos;
    });
  });
}

pid_t FindPodProcess(const std::string& pod, const std::string& name) {
  return Find([&](const fs::path& process) {
    return Content(process / "comm") == name + "\n" &&
           Content(process / "cgroup").find(pod) != std::string::npos;
  });
}

}  // namespace catamaran::e2e

#include "e2e/harness/private_world.h"

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "e2e/harness/processes.h"
#include "sandbox/base/files.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran::e2e {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Die(const char* doing) {
  perror(doing);
  _exit(99);
}

void BringLoopbackUp() {
  UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  snprintf(request.ifr_name, sizeof(request.ifr_name), "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) != 0) Die("bring lo up");
}

// Process 1 of the pid namespace: reaps every orphan until the body has ended.
int ReapUntilEnd(pid_t body) {
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended == body) return ExitCodeOf(status);
    if (ended < 0 && errno == ECHILD) return 98;
  }
}

int InsideMain(const WorldPaths& paths, const std::function<int()>& body) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) Die("make / private");
  // A second proc over the first: programs here see this pid namespace.
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    Die("mount proc");
  }
  if (mount("tmpfs", paths.run().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0) {
    Die("mount tmpfs");
  }
  BringLoopbackUp();
  const pid_t child = fork();
  if (child < 0) Die("fork");
  if (child == 0) {
    const int code = body();
    fflush(nullptr);
    _exit(code);
  }
  return ReapUntilEnd(child);
}

std::vector<fs::path> Hierarchies() {
  std::vector<fs::path> all;
  std::ifstream mounts("/proc/self/mounts");
  std::string source, target, type, rest;
  while (mounts >> source >> target >> type && std::getline(mounts, rest)) {
    if (type == "cgroup" || type == "cgroup2") all.emplace_back(target);
  }
  return all;
}

// Two groups: one for the daemon and the test itself, one above all pods.
void LimitProcesses(const WorldPaths& paths) {
  for (const fs::path& hierarchy : Hierarchies()) {
    for (const std::string& name : {paths.cgroup_root, paths.cgroup_root + ".runner"}) {
      const std::string group = hierarchy / name.substr(1);
      const bool pids_on_v1 = hierarchy.filename() == "pids";
      if (!pids_on_v1 && fs::exists("/sys/fs/cgroup/pids")) continue;
      mkdir(group.c_str(), 0755);
      (void)WriteExisting(group + "/pids.max", std::to_string(paths.most_tasks));
      if (name != paths.cgroup_root) (void)WriteExisting(group + "/cgroup.procs", "0");
    }
  }
}

void RemoveCgroups(const std::string& cgroup_root) {
  for (const fs::path& hierarchy : Hierarchies()) {
    std::vector<fs::path> groups;
    const fs::path top = hierarchy / cgroup_root.substr(1);
    std::error_code error;
    for (fs::recursive_directory_iterator it(top, error), end; !error && it != end;
         it.increment(error)) {
      if (it->is_directory(error)) groups.push_back(it->path());
    }
    groups.insert(groups.begin(), top);
    for (auto it = groups.rbegin(); it != groups.rend(); ++it) rmdir(it->c_str());
  }
}

void RemoveWorld(const WorldPaths& paths) {
  // Processes killed with the namespace leave their cgroups a moment later.
  for (int attempt = 0; attempt < 100; ++attempt) {
    RemoveCgroups(paths.cgroup_root);
    RemoveCgroups(paths.cgroup_root + ".runner");
    if (ListCgroups(paths.cgroup_root).empty()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (getenv("CATAMARAN_E2E_KEEP") == nullptr) (void)RemoveTree(paths.base);
}

}  // namespace

std::vector<std::string> ListCgroups(const std::string& cgroup_root) {
  std::vector<std::string> found;
  for (const fs::path& hierarchy : Hierarchies()) {
    std::error_code error;
    const fs::path top = hierarchy / cgroup_root.substr(1);
    if (fs::exists(top, error)) found.push_back(top);
    for (fs::recursive_directory_iterator it(top, error), end; !error && it != end;
         it.increment(error)) {
      if (it->is_directory(error)) found.push_back(it->path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

WorldPaths MakeWorldPaths(const std::string& prefix) {
  const std::string stem = prefix + ".";
  const char* parent = getenv("CATAMARAN_E2E_FOLDER");
  const fs::path folder = parent != nullptr ? parent : "/var/tmp";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(stem)) continue;
    const int pid = atoi(name.c_str() + stem.size());
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) RemoveWorld({entry.path(), "/" + name});
  }
  const std::string name = stem + std::to_string(getpid());
  WorldPaths paths{folder / name, "/" + name};
  for (const std::string& path : {paths.root(), paths.run(), paths.logs()}) {
    if (auto made = MakeDirectories(path); !made) {
      fprintf(stderr, "%s\n", made.error().message.c_str());
      exit(99);
    }
  }
  return paths;
}

int RunInPrivateWorld(const WorldPaths& paths, const std::function<int()>& body) {
  fflush(nullptr);
  const pid_t outside = fork();
  if (outside < 0) Die("fork");
  if (outside == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    LimitProcesses(paths);
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) != 0) Die("unshare (are you root?)");
    const pid_t inside = fork();
    if (inside < 0) Die("fork");
    if (inside == 0) _exit(InsideMain(paths, body));
    int status = 0;
    waitpid(inside, &status, 0);
    _exit(ExitCodeOf(status));
  }
  int status = 0;
  waitpid(outside, &status, 0);
  RemoveWorld(paths);
  return ExitCodeOf(status);
}

}  // namespace catamaran::e2e

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
  if (paths.systemd) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
  } else if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    // A second proc over the first: programs here see this pid namespace.
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

std::string SliceName(const WorldPaths& paths) { return paths.cgroup_root.substr(1); }

// Of systemctl, which says itself what is wrong.
bool Systemctl(const std::string& arguments) {
  return system(("systemctl --quiet " + arguments).c_str()) == 0;
}

// Two groups: one for the daemon and the test itself, one above all pods.
void LimitProcesses(const WorldPaths& paths) {
  // Started by name, a slice stays when no pod is in it.
  if (paths.systemd && (!Systemctl("start " + SliceName(paths)) ||
                        !Systemctl(fmt::format("set-property --runtime {} TasksMax={}",
                                               SliceName(paths), paths.most_tasks))))
    exit(99);
  for (const fs::path& hierarchy : Hierarchies()) {
    for (const std::string& name : {paths.cgroup_root, paths.runner_group()}) {
      if (paths.systemd && name == paths.cgroup_root) continue;
      const std::string group = hierarchy / name.substr(1);
      const bool pids_on_v1 = hierarchy.filename() == "pids";
      if (!pids_on_v1 && fs::exists("/sys/fs/cgroup/pids")) continue;
      mkdir(group.c_str(), 0755);
      (void)WriteExisting(group + "/pids.max", std::to_string(paths.most_tasks));
      if (name != paths.cgroup_root) (void)WriteExisting(group + "/cgroup.procs", "0");
    }
  }
}

// Whether the group is the run's: its root, the runner's, another daemon's.
bool IsGroupOfRun(const std::string& name, const WorldPaths& paths) {
  const std::string own = paths.cgroup_root.substr(1);
  const std::string stem = fs::path(paths.base).filename();
  return name == own || name == stem || name.starts_with(stem + ".");
}

// Of the run, as HIERARCHY/NAME.
std::vector<fs::path> TopGroups(const WorldPaths& paths) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const fs::path& hierarchy : Hierarchies())
    for (const auto& entry : fs::directory_iterator(hierarchy, error))
      if (entry.is_directory(error) && IsGroupOfRun(entry.path().filename(), paths))
        found.push_back(entry.path());
  return found;
}

void RemoveGroups(const fs::path& top) {
  std::vector<fs::path> groups = {top};
  std::error_code error;
  for (fs::recursive_directory_iterator it(top, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_directory(error)) groups.push_back(it->path());
  }
  for (auto it = groups.rbegin(); it != groups.rend(); ++it) rmdir(it->c_str());
}

// What the end of a pid namespace does elsewhere. Stopping a slice stops all that is in it.
void EndProcesses(const WorldPaths& paths) {
  (void)WriteExisting("/sys/fs/cgroup" + paths.runner_group() + "/cgroup.kill", "1");
  if (fs::exists("/sys/fs/cgroup" + paths.cgroup_root)) Systemctl("stop " + SliceName(paths));
}

void RemoveWorld(const WorldPaths& paths) {
  if (paths.systemd) EndProcesses(paths);
  // Processes killed with the namespace leave their cgroups a moment later.
  for (int attempt = 0; attempt < 100; ++attempt) {
    for (const fs::path& group : TopGroups(paths)) RemoveGroups(group);
    if (TopGroups(paths).empty()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (getenv("CATAMARAN_E2E_KEEP") == nullptr) (void)RemoveTree(paths.base);
}

WorldPaths PathsOf(const fs::path& base, bool systemd) {
  const std::string name = base.filename();
  WorldPaths paths{base, "/" + name, systemd};
  if (!systemd) return paths;
  // A dash would put the slice into another one.
  std::replace(paths.cgroup_root.begin(), paths.cgroup_root.end(), '-', '_');
  paths.cgroup_root += ".slice";
  return paths;
}

bool IsSystemdAskedFor() {
  const char* driver = getenv(kCgroupDriver);
  return driver != nullptr && std::string(driver) == "systemd";
}

}  // namespace

std::string WorldPaths::OtherCgroupRoot(const std::string& name) const {
  if (!systemd) return fmt::format("{}.{}", cgroup_root, name);
  const std::string stem = cgroup_root.substr(1, cgroup_root.rfind('.') - 1);
  return fmt::format("{}/{}-{}.slice", cgroup_root, stem, name);
}

bool IsOfRun(const WorldPaths& paths, pid_t process) {
  if (!paths.systemd) return true;
  const auto group = ReadFile(fmt::format("/proc/{}/cgroup", process));
  return group && (group->find(paths.cgroup_root) != std::string::npos ||
                   group->find(paths.runner_group()) != std::string::npos);
}

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
    if (pid <= 0 || kill(pid, 0) == 0 || errno != ESRCH) continue;
    for (const bool systemd : {false, true}) RemoveWorld(PathsOf(entry.path(), systemd));
  }
  const WorldPaths paths = PathsOf(folder / (stem + std::to_string(getpid())), IsSystemdAskedFor());
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
    const int own_pids = paths.systemd ? 0 : CLONE_NEWPID;
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | own_pids) != 0) Die("unshare (are you root?)");
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

#pragma once

#include <functional>
#include <string>

namespace catamaran::e2e {

// Where one run of the scenarios keeps everything it makes. Names carry the run's process id, so
// that any number of runs can share a machine.
struct WorldPaths {
  std::string base;         // on disk: EROFS files cannot be mounted from every other file system
  std::string cgroup_root;  // "/catamaran-e2e.PID", in every hierarchy; with systemd a slice
  // Pods' groups are systemd's: the run is then in the machine's pid namespace, as process ids must
  // mean the same to both.
  bool systemd = false;
  // Processes and threads of all pods together, and of the daemon and the tests: no mistake in what
  // is tested may take the machine's.
  int most_tasks = 8000;  // 500 pods of the ns hull are 2000

  // The group of the daemon and the test itself.
  std::string runner_group() const { return base.substr(base.rfind('/')) + ".runner"; }
  // A place for another daemon's pods, in which ListCgroups does not look.
  std::string OtherCgroupRoot(const std::string& name) const;
  std::string root() const { return base + "/root"; }
  std::string run() const { return base + "/run"; }  // a tmpfs inside the namespaces
  std::string logs() const { return base + "/logs"; }
};

// Environment variable: "systemd" has a run's daemon make pods' groups by that driver.
inline constexpr char kCgroupDriver[] = "CATAMARAN_E2E_CGROUP_DRIVER";

// Whether the process is one of the run's: in a private pid namespace all are.
bool IsOfRun(const WorldPaths& paths, pid_t process);

// Runs `body` in mount, network and pid namespaces of its own, below a process that reaps orphans
// as an init does, and removes afterwards what `paths` name, whatever became of the body. Must be
// called before any thread exists. Returns the body's exit code; 128 + signal if it was killed.
int RunInPrivateWorld(const WorldPaths& paths, const std::function<int()>& body);

// Paths of this process's run, named PREFIX.PID; also removes what runs of that prefix that were
// killed left behind.
WorldPaths MakeWorldPaths(const std::string& prefix = "catamaran-e2e");

// Every folder below `paths.cgroup_root`, as HIERARCHY/PATH, sorted.
std::vector<std::string> ListCgroups(const std::string& cgroup_root);

}  // namespace catamaran::e2e

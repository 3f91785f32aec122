#pragma once

#include <memory>
#include <string>
#include <vector>

#include "e2e/harness/cri_client.h"
#include "e2e/harness/daemon.h"
#include "e2e/harness/leaks.h"
#include "e2e/harness/machines.h"
#include "e2e/harness/private_world.h"

namespace catamaran::e2e {

inline constexpr char kImage[] = "docker.io/library/busybox:1";
// The handlers of every run: namespaces, machines by template, machines that boot.
inline constexpr char kNs[] = "ns", kVm[] = "vm", kVmCold[] = "vm-cold";

// Environment variable of a run whose daemon can keep no template while its scenarios go on
// expecting clones: a fault injection, by which harness/lost_templates_test sees that run fail.
inline constexpr char kLoseTemplates[] = "CATAMARAN_E2E_LOSE_TEMPLATES";

// The daemon of one run with its private root, run directory, network and cgroups, and a client on
// its socket. Scenarios share it; those that kill the daemon start it again.
class World {
 public:
  explicit World(WorldPaths paths);

  // Writes the configuration and starts the daemon.
  Status Start();
  // Makes kImage and loads it, once: busybox, and the scenarios' /bin/probe where it was built.
  Status LoadTestImage();

  CriClient& cri() { return *cri_; }
  Daemon& daemon() { return *daemon_; }
  const WorldPaths& paths() const { return paths_; }
  const std::string& config_file() const { return config_file_; }
  std::string endpoint() const { return "unix://" + paths_.run() + "/catamaran.sock"; }

  // For the next RestartDaemon.
  Status Configure(const std::string& guest_command_line);

  // After a kill: starts the daemon again (environment: fault injection) and connects to it.
  Status RestartDaemon(std::vector<std::string> environment = {});

  // Runs pods on kVm until one is restored, once: afterwards no scenario has a reason to boot one.
  Status PrepareTemplates();
  // Counts the machine of a pod, which must run on `handler`. A cold boot of it was asked for where
  // the handler, as configured now, makes no use of templates.
  Result<MachineFacts> CountMachine(const std::string& handler, const std::string& scenario,
                                    const std::string& pod);
  // Whether a pod on this handler, as it is configured now, must be a clone of a template.
  bool MustRestore(const std::string& handler) const {
    return handler == kVm && guest_command_line_.empty();
  }
  MachineCount& machines() { return machines_; }
  // The process that keeps the templates for this run's shims; 0 where none lives.
  pid_t TemplateKeeper() const;

  // `catamaran image load` of an OCI layout or archive.
  ProgramResult LoadImage(const std::string& path);
  ProgramResult LoadImage(const std::string& path, const std::string& config_file);

  // The handlers the daemon says it has, without the "" default.
  const std::vector<std::string>& handlers() const { return handlers_; }
  bool HasHandler(const std::string& name) const;

  // With what the daemon lists: pods, containers, images.
  Snapshot TakeSnapshot();

  // A folder for one scenario's logs and volumes.
  std::string NewFolder(const std::string& name);

 private:
  Status ReadHandlers();

  WorldPaths paths_;
  std::string config_file_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<CriClient> cri_;
  std::vector<std::string> handlers_;
  MachineCount machines_;
  std::string guest_command_line_;
  bool templates_ready_ = false;
  bool image_loaded_ = false;
  int folders_ = 0;
};

// The one world of this program; set by main before any test runs.
World& TheWorld();
void SetTheWorld(World* world);

// Where the daemons of all runs keep VM templates: a machine boots once, not once a run.
std::string TemplateFolder();

// Text of the daemon's configuration file for these paths. guest_command_line: added to the
// kernel's in every machine of kVm, which is then booted instead of cloned; empty: what a plain
// daemon does.
std::string ConfigText(const WorldPaths& paths, const std::string& guest_command_line = "");

}  // namespace catamaran::e2e

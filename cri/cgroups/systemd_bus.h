#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/kernel/cgroup.h"

struct sd_bus;

namespace catamaran {

// One connection to systemd, process 1 of this machine, over the system's D-Bus
// (org.freedesktop.systemd1(5)). Opened for each piece of work, so that no restart of either side
// can leave a dead one. Not thread-safe; everything blocks up to the deadline.
class SystemdBus {
 public:
  // A transient unit that holds processes which systemd did not start (systemd.scope(5)).
  struct Scope {
    std::string name;         // catamaran-4f1e.scope
    std::string slice;        // kubepods-burstable.slice; made where there is none
    std::string description;  // by which FindScopes tells whose it is
    pid_t process;            // of the caller's pid namespace, see CheckProcessIds
  };

  // kFailedPrecondition where there is no bus, or no systemd on it.
  static Result<SystemdBus> Connect(Deadline deadline);

  // Makes the scope with the process in it, delegated with every controller. Returns once it is
  // there. One of that name that failed and lingers is forgotten first. kAlreadyExists where one
  // is active.
  Status StartScope(const Scope& scope, Deadline deadline);
  // Ends what is in the unit and forgets it; returns once it is gone. Absent is fine.
  Status StopUnit(const std::string& name, Deadline deadline);
  // Names of the loaded units that match and have this description.
  Result<std::vector<std::string>> FindUnits(const std::string& pattern,
                                             const std::string& description, Deadline deadline);
  // Path of a scope's group, below the root of cgroup v2.
  Result<std::string> GroupOf(const std::string& scope, Deadline deadline);
  // Whether a process id means the same process to the bus as to the caller: not so in a pid
  // namespace of one's own, where StartScope would take hold of another process.
  // kFailedPrecondition.
  Status CheckProcessIds(Deadline deadline);

 private:
  struct Close {
    void operator()(sd_bus* bus) const;
  };
  explicit SystemdBus(sd_bus* bus) : bus_(bus) {}

  // Calls `start`, which answers with a job's path, and waits until systemd has done that job.
  Status RunJob(const std::string& doing, const std::function<Result<std::string>()>& start,
                Deadline deadline);
  void SetTimeout(Deadline deadline);

  std::unique_ptr<sd_bus, Close> bus_;
};

// Whether the driver can work on this machine, with these control groups: with cgroup v2 alone, and
// a systemd that answers and means the same processes. kFailedPrecondition.
Status CheckSystemdDriver(const CgroupTree& tree, Deadline deadline);

}  // namespace catamaran

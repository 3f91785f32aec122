#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/kernel/cgroup_devices.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// One mounted hierarchy: all of cgroup v2, or the controllers of one v1 mount.
struct CgroupHierarchy {
  bool v2 = false;
  std::string mount;                     // below the root: "memory", "cpu,cpuacct", "." for unified
  std::vector<std::string> controllers;  // empty for a named v1 hierarchy ("systemd")
  UniqueFd root;

  bool Has(std::string_view controller) const;
};

class Cgroup;

// Files of one group that are read again and again: each is opened once, which is most of what a
// reading costs, and shows nothing any more once its group is removed.
class CgroupStatFiles {
 public:
  // The text without its last newline, at most 8 KiB; "" where there is no such file.
  std::string Read(int directory_fd, const std::string& name);

 private:
  std::map<std::string, UniqueFd> open_;
};

// The hierarchies of this machine as they lie under /sys/fs/cgroup: cgroup v2 alone (unified), v1
// alone (legacy), or v1 with a cgroup v2 mount beside it (hybrid) that may hold controllers of its
// own. A group has the same path in each of them. Immutable, thread-safe.
class CgroupTree : public std::enable_shared_from_this<CgroupTree> {
 public:
  enum class Kind { kUnified, kLegacy, kHybrid };

  // The machine's, below /sys/fs/cgroup. kFailedPrecondition where there is none.
  static Result<std::shared_ptr<const CgroupTree>> Open();
  // The one below this directory (tests give a tree of plain files).
  static Result<std::shared_ptr<const CgroupTree>> OpenAt(UniqueFd root);

  Kind kind() const { return kind_; }
  const std::vector<CgroupHierarchy>& hierarchies() const { return hierarchies_; }
  // The hierarchy that holds this controller, or the cgroup v2 one; null where there is none.
  const CgroupHierarchy* WithController(std::string_view controller) const;
  const CgroupHierarchy* Unified() const;

  // Makes the group, and what is missing above it, in every hierarchy: `path` is absolute below
  // the roots ("/catamaran/4f1e", never "/"). On v2 the groups above it pass on the controllers
  // they have; on v1 a new group's empty cpuset is filled from the one above. A group that exists
  // already is opened. Undoes its own mkdirs where it fails. kInvalidArgument for a malformed path.
  // With kNothing no group above it passes any controller on: for a group that shall take the
  // processes of one above it, which must leave before that may pass on any (cgroup-v2.rst, "No
  // Internal Process Constraint"). Needs another Create afterwards.
  enum class Passing { kControllers, kNothing };
  Result<Cgroup> Create(const std::string& path, Passing passing = Passing::kControllers) const;
  // kNotFound where no hierarchy has it; one that only some have (left by a crash) opens.
  Result<Cgroup> OpenGroup(const std::string& path) const;
  bool Exists(const std::string& path) const;
  // Where a process is, as a path below the roots: on v2 alone its only group, else that of the
  // memory controller's hierarchy (cgroups(7), /proc/[pid]/cgroup).
  Result<std::string> PathOf(pid_t process) const;

 private:
  CgroupTree(Kind kind, std::vector<CgroupHierarchy> hierarchies)
      : kind_(kind), hierarchies_(std::move(hierarchies)) {}

  Kind kind_;
  std::vector<CgroupHierarchy> hierarchies_;
};

// A handle on one group in every hierarchy. Held by directory descriptors, so a group that was
// removed and made again by somebody else is never confused with this one. The destructor closes
// the handle; only Remove removes the group. Not thread-safe. Nothing here blocks but what takes a
// deadline.
class Cgroup {
 public:
  Cgroup(Cgroup&&) = default;
  Cgroup& operator=(Cgroup&&) = default;

  const std::string& path() const { return path_; }

  // Moves the process (all its threads) here, in every hierarchy; 0 is the caller itself.
  Status Attach(pid_t pid) const;
  // Directory of the group on cgroup v2, for clone3(CLONE_INTO_CGROUP); -1 on a legacy machine.
  // The child is in this hierarchy only: on a hybrid machine Attach is still due.
  int clone_fd() const;

  // Applies what is set and leaves the rest as it is; also to a group with running processes.
  // Unset: zero, an empty string or list. A value that the kernel refuses is kInvalidArgument
  // naming field and value; a limit whose controller the machine lacks is kFailedPrecondition.
  Status Apply(const spec::Resources& resources) const;
  // Denies every device but these, from now on, for this group and what is below. May be called
  // again: the new list replaces the old one at once. On v2 the caller needs CAP_BPF or
  // CAP_SYS_ADMIN; on v1 the group must have no groups below it.
  Status AllowOnlyDevices(const std::vector<DeviceRule>& allowed) const;

  // Stops and continues every process of the group and below. Both wait until it is done.
  Status Freeze(Deadline deadline) const;
  Status Thaw(Deadline deadline) const;

  // Sends SIGKILL to every process in the group and below, new ones included, and waits until none
  // is left. Thaws a frozen group. kDeadlineExceeded names one that stays (uninterruptible sleep,
  // or a zombie's thread that someone must reap).
  Status KillAll(Deadline deadline) const;
  // Removes the group and those below it, deepest first. Does not kill: a group with processes is
  // kFailedPrecondition once the deadline is over. Absent is fine.
  Status Remove(Deadline deadline);

  // Names of the groups directly below, sorted, of all hierarchies together.
  Result<std::vector<std::string>> Children() const;
  // Ids of the processes in the group and, with kTree, below it, of all hierarchies together.
  enum class Depth { kGroup, kTree };
  Result<std::vector<pid_t>> Processes(Depth depth) const;

  // What the group and those below it use now. A controller that is missing leaves its fields zero,
  // or unset where they are messages or optional.
  Result<spec::GroupStats> Stats() const;
  // Adds what takes longer and is asked for seldom: devices, huge pages, counters of limits.
  void AddDetails(spec::GroupStats& stats) const;
  // How often the kernel's OOM killer has killed in this group (v2: and below). Read it before
  // the group is removed.
  Result<uint64_t> OomKills() const;
  // A non-blocking descriptor that becomes readable when OomKills may have changed: watch it for
  // EPOLLIN and call DrainEvents each time. It also fires once when the group is removed.
  Result<UniqueFd> OpenOomEvents() const;
  static void DrainEvents(int fd);

 private:
  friend class CgroupTree;
  struct Directory {
    const CgroupHierarchy* hierarchy;
    UniqueFd fd;
  };

  Cgroup(std::shared_ptr<const CgroupTree> tree, std::string path,
         std::vector<Directory> directories)
      : tree_(std::move(tree)), path_(std::move(path)), directories_(std::move(directories)) {}

  // The group's directory in the hierarchy of this controller; -1 where there is none.
  int DirectoryOf(std::string_view controller) const;
  const Directory* Unified() const;
  Status SignalAll() const;
  Status SetFrozen(bool frozen, Deadline deadline) const;
  void ReadCpuStats(spec::CpuStats& cpu) const;
  void ReadMemoryStats(spec::MemoryStats& memory) const;
  void ReadPressure(spec::GroupStats& stats) const;

  std::shared_ptr<const CgroupTree> tree_;
  std::string path_;
  std::vector<Directory> directories_;
  mutable CgroupStatFiles stat_files_;
};

}  // namespace catamaran

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// Who makes the groups of pods: must be what the kubelet has (cgroupDriver), which asks for it.
enum class CgroupDriver {
  kCgroupfs,  // the shim, by mkdir
  kSystemd,   // systemd, as a transient scope
};

// As configurations spell it, ours and the kubelet's: "cgroupfs", "systemd".
std::string_view CgroupDriverName(CgroupDriver driver);

// Where pods are that name no cgroup_parent, unless the configuration says another place.
std::string DefaultCgroupRoot(CgroupDriver driver);

// Path of the group that is the pod's, below a parent as the CRI spells it: any absolute path with
// cgroupfs; a slice with systemd, by its name or by its whole path. `field` is whose value it is.
// kInvalidArgument naming field, value and what would be right.
Result<std::string> PodCgroupPath(CgroupDriver driver, const std::string& field,
                                  const std::string& parent, const PodId& pod);
// The same for a machine that waits for its pod, below the configuration's cgroup_root.
std::string WaitingCgroupPath(CgroupDriver driver, const std::string& cgroup_root,
                              const PodId& pod);

// A pod's scope, taken out of the path of its group or of one below.
struct ScopePlace {
  std::string slice;  // unit names
  std::string scope;
  std::string path;  // of the scope's own group
};
// None where the path leads through no scope: the pod was made with cgroupfs.
std::optional<ScopePlace> ScopeOf(const std::string& path);

// Of the scopes that daemons make, and of no other unit: for the sweep.
inline constexpr char kScopePattern[] = "catamaran-*.scope";
// Whose the scope is, or whom the machine in it waits for.
std::string PodOfScope(const std::string& scope);

}  // namespace catamaran

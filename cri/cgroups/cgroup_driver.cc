#include "cri/cgroups/cgroup_driver.h"

#include <algorithm>

#include "cri/cgroups/slice_name.h"

namespace catamaran {
namespace {

constexpr char kScopeSuffix[] = ".scope";

// "pod": the scope's own group is systemd's, what is below it is ours.
std::string GroupInScope(const std::string& slice, const std::string& kind, const PodId& pod) {
  const std::string above = PathOfSlice(slice);
  return fmt::format("{}/catamaran-{}{}{}/pod", above == "/" ? "" : above, kind, pod.value(),
                     kScopeSuffix);
}

std::string Below(const std::string& parent, const PodId& pod) {
  return fmt::format("{}/{}", parent == "/" ? "" : parent, pod.value());
}

}  // namespace

std::string_view CgroupDriverName(CgroupDriver driver) {
  return driver == CgroupDriver::kSystemd ? "systemd" : "cgroupfs";
}

std::string DefaultCgroupRoot(CgroupDriver driver) {
  return driver == CgroupDriver::kSystemd ? "/catamaran.slice" : "/catamaran";
}

Result<std::string> PodCgroupPath(CgroupDriver driver, const std::string& field,
                                  const std::string& parent, const PodId& pod) {
  if (driver == CgroupDriver::kCgroupfs) return Below(parent, pod);
  ASSIGN_OR_RETURN(const std::string slice, SliceOfParent(field, parent));
  return GroupInScope(slice, "", pod);
}

std::string WaitingCgroupPath(CgroupDriver driver, const std::string& cgroup_root,
                              const PodId& pod) {
  if (driver == CgroupDriver::kCgroupfs) return Below(cgroup_root, pod);
  // Another name than the pod's own scope will have, which begins while this one still is.
  return GroupInScope(SliceOfParent("cgroup_root", cgroup_root).value_or("-.slice"), "waiting-",
                      pod);
}

std::string PodOfScope(const std::string& scope) {
  const size_t begin = scope.rfind('-') + 1;
  return scope.substr(begin, scope.rfind(kScopeSuffix) - begin);
}

std::optional<ScopePlace> ScopeOf(const std::string& path) {
  const std::string suffix = kScopeSuffix;
  size_t begin = 0;
  while (begin < path.size()) {
    const size_t end = std::min(path.find('/', begin + 1), path.size());
    const std::string name = path.substr(begin + 1, end - begin - 1);
    if (name.starts_with("catamaran-") && name.ends_with(suffix)) {
      const std::string above = path.substr(0, begin);
      const std::string slice =
          above.empty() ? "-.slice" : above.substr(above.find_last_of('/') + 1);
      return ScopePlace{slice, name, path.substr(0, end)};
    }
    begin = end;
  }
  return std::nullopt;
}

}  // namespace catamaran

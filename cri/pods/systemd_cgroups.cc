#include "cri/pods/systemd_cgroups.h"

#include <algorithm>

#include "cri/cgroups/cgroup_driver.h"
#include "cri/cgroups/systemd_bus.h"
#include "sandbox/base/abort_step.h"
#include "shim/client/shim_lock.h"

namespace catamaran {
namespace {

// systemd answers within milliseconds, and within seconds while it reloads hundreds of units.
constexpr std::chrono::seconds kSystemdPatience(30);

class SystemdCgroups final : public PodCgroups {
 public:
  SystemdCgroups(std::shared_ptr<const CgroupTree> tree, std::unique_ptr<PodCgroups> by_files,
                 const std::string& run)
      : tree_(std::move(tree)),
        by_files_(std::move(by_files)),
        description_(fmt::format("Kubernetes pod (Catamaran, {})", run)) {}

  // A slice comes with the first unit that is in it, and goes with the last.
  Status Make(const std::string&) override { return {}; }
  std::string JoinedByShim(const std::string&) const override { return ""; }

  Status Admit(const ShimPaths& shim, const std::string& path, Deadline deadline) override {
    ASSIGN_OR_RETURN(const ShimLockState lock, LookAtLock(shim));
    if (lock.holder != ShimLockState::Holder::kShim)
      return Fail(ErrorCode::kUnavailable, "it ended at once");
    return StartIn(lock.shim, path + "/shim", deadline);
  }

  Status Move(const std::string& from, const std::string& to, Deadline deadline) override {
    ASSIGN_OR_RETURN(const Cgroup source, tree_->OpenGroup(from));
    ASSIGN_OR_RETURN(const auto processes, source.Processes(Cgroup::Depth::kGroup));
    if (processes.empty())
      return Fail(ErrorCode::kFailedPrecondition, "no process is in cgroup {}", from);
    RETURN_IF_ERROR(StartIn(processes.front(), to, deadline));
    return by_files_->Move(from, to, deadline);
  }

  // Of the whole scope: a shim is in the scope itself for a moment.
  Status Kill(const std::string& path, Deadline deadline) override {
    const auto place = ScopeOf(path);
    return by_files_->Kill(place ? place->path : path, deadline);
  }

  // systemd removes a scope's own group when it has seen that nothing is left in it, mostly before
  // it is asked.
  Status Remove(const std::string& path, Deadline deadline) override {
    RETURN_IF_ERROR(by_files_->Remove(path, deadline));
    const auto place = ScopeOf(path);
    if (!place || !tree_->Exists(place->path)) return {};
    const Deadline patience = deadline.Earlier(Deadline::After(kSystemdPatience));
    ASSIGN_OR_RETURN(SystemdBus bus, SystemdBus::Connect(patience));
    RETURN_IF_ERROR(bus.StopUnit(place->scope, patience));
    AbortStep();
    return {};
  }

  Result<std::vector<Found>> FindPods(const std::function<bool(const std::string&)>& is_known,
                                      Deadline deadline) override {
    ASSIGN_OR_RETURN(auto found, by_files_->FindPods(is_known, deadline));
    ASSIGN_OR_RETURN(SystemdBus bus, SystemdBus::Connect(deadline));
    ASSIGN_OR_RETURN(const auto scopes, bus.FindUnits(kScopePattern, description_, deadline));
    for (const std::string& scope : scopes) {
      const std::string pod = PodOfScope(scope);
      if (is_known(pod)) continue;
      ASSIGN_OR_RETURN(const std::string group, bus.GroupOf(scope, deadline));
      // A scope without a group has no process either, and is about to go.
      if (!group.empty()) found.push_back({pod, group + "/pod"});
    }
    return found;
  }

 private:
  // A new scope with this process, which is then in `leaf`, some group below it.
  Status StartIn(pid_t process, const std::string& leaf, Deadline deadline) {
    const auto place = ScopeOf(leaf);
    if (!place)
      return Fail(ErrorCode::kInternal, "cgroup {} is in no scope: made by another driver", leaf);
    RETURN_IF_ERROR(StartScope(*place, process, deadline));
    AbortStep();
    // The scope's group can pass controllers on once no process is in it, and not before.
    ASSIGN_OR_RETURN(const Cgroup bare, tree_->Create(leaf, CgroupTree::Passing::kNothing));
    RETURN_IF_ERROR(bare.Attach(process));
    return tree_->Create(leaf).map([](const Cgroup&) {});
  }

  Status StartScope(const ScopePlace& place, pid_t process, Deadline deadline) {
    const Deadline patience = deadline.Earlier(Deadline::After(kSystemdPatience));
    ASSIGN_OR_RETURN(SystemdBus bus, SystemdBus::Connect(patience));
    const Status started =
        bus.StartScope({place.scope, place.slice, description_, process}, patience);
    // An answer is lost where systemd executes itself anew: what counts is where the process is.
    if (IsIn(process, place.path)) return {};
    RETURN_IF_ERROR(started);
    ASSIGN_OR_RETURN(const std::string group, bus.GroupOf(place.scope, patience));
    return Fail(ErrorCode::kFailedPrecondition,
                "systemd has {} at \"{}\", not at {}: the process has ended, or the machine's "
                "cgroups are not systemd's",
                place.scope, group, place.path);
  }

  bool IsIn(pid_t process, const std::string& path) const {
    const auto group = tree_->OpenGroup(path);
    if (!group) return false;
    const auto processes = group->Processes(Cgroup::Depth::kTree);
    return processes &&
           std::find(processes->begin(), processes->end(), process) != processes->end();
  }

  const std::shared_ptr<const CgroupTree> tree_;
  const std::unique_ptr<PodCgroups> by_files_;
  const std::string description_;
};

}  // namespace

Result<std::unique_ptr<PodCgroups>> OpenSystemdCgroups(std::shared_ptr<const CgroupTree> tree,
                                                       std::unique_ptr<PodCgroups> by_files,
                                                       const std::string& run) {
  RETURN_IF_ERROR(CheckSystemdDriver(*tree, Deadline::After(kSystemdPatience)));
  return std::make_unique<SystemdCgroups>(std::move(tree), std::move(by_files), run);
}

}  // namespace catamaran

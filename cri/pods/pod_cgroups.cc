#include "cri/pods/pod_cgroups.h"

#include "cri/pods/identity.h"
#include "cri/pods/systemd_cgroups.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/kernel/cgroup.h"

namespace catamaran {
namespace {

constexpr int kMostMoves = 100;

class MachineCgroups final : public PodCgroups {
 public:
  MachineCgroups(std::shared_ptr<const CgroupTree> tree, std::string root)
      : tree_(std::move(tree)), root_(std::move(root)) {}

  Status Make(const std::string& path) override {
    RETURN_IF_ERROR(tree_->Create(path));
    AbortStep();
    return {};
  }

  Status Move(const std::string& from, const std::string& to, Deadline) override {
    ASSIGN_OR_RETURN(const Cgroup source, tree_->OpenGroup(from));
    ASSIGN_OR_RETURN(const Cgroup target, tree_->Create(to));
    AbortStep();
    // What is born meanwhile is born where its parent is: until none is left.
    for (int round = 0; round < kMostMoves; ++round) {
      ASSIGN_OR_RETURN(const auto processes, source.Processes(Cgroup::Depth::kGroup));
      if (processes.empty()) return {};
      for (const pid_t process : processes) {
        auto moved = target.Attach(process);
        if (!moved && moved.error().system_errno != ESRCH) return moved;
      }
    }
    return Fail(ErrorCode::kAborted, "processes of cgroup {} cannot be moved", from);
  }

  Status Kill(const std::string& path, Deadline deadline) override {
    auto group = tree_->OpenGroup(path);
    if (!group) return AbsentIsFine(std::move(group).error());
    RETURN_IF_ERROR(group->KillAll(deadline));
    AbortStep();
    return {};
  }

  Status Remove(const std::string& path, Deadline deadline) override {
    auto group = tree_->OpenGroup(path);
    if (!group) return AbsentIsFine(std::move(group).error());
    RETURN_IF_ERROR(group->Remove(deadline));
    AbortStep();
    return {};
  }

  Result<std::vector<Found>> FindPods(const std::function<bool(const std::string&)>& is_known,
                                      Deadline) override {
    std::vector<Found> found;
    auto group = tree_->OpenGroup(root_);
    if (!group) {
      RETURN_IF_ERROR(AbsentIsFine(std::move(group).error()));
      return found;
    }
    ASSIGN_OR_RETURN(const auto names, group->Children());
    for (const std::string& name : names)
      if (IsPodId(name) && !is_known(name)) found.push_back({name, root_ + "/" + name});
    return found;
  }

 private:
  static Status AbsentIsFine(Error error) {
    if (error.code == ErrorCode::kNotFound) return {};
    return tl::unexpected(std::move(error));
  }

  std::shared_ptr<const CgroupTree> tree_;
  const std::string root_;
};

}  // namespace

Result<std::unique_ptr<PodCgroups>> OpenPodCgroups(const Config& config) {
  ASSIGN_OR_RETURN(auto tree, CgroupTree::Open());
  auto by_files = std::make_unique<MachineCgroups>(tree, config.cgroup_root);
  if (config.cgroup_driver == CgroupDriver::kCgroupfs) return by_files;
  auto by_systemd = OpenSystemdCgroups(std::move(tree), std::move(by_files), config.run.string());
  if (!by_systemd)
    return tl::unexpected(std::move(by_systemd).error().While("cgroup_driver: systemd"));
  return by_systemd;
}

}  // namespace catamaran

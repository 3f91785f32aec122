#include "cri/pods/pod_cgroups.h"

#include "sandbox/base/abort_step.h"
#include "sandbox/kernel/cgroup.h"

namespace catamaran {
namespace {

constexpr int kMostMoves = 100;

class MachineCgroups final : public PodCgroups {
 public:
  explicit MachineCgroups(std::shared_ptr<const CgroupTree> tree) : tree_(std::move(tree)) {}

  Status Make(const std::string& path) override {
    RETURN_IF_ERROR(tree_->Create(path));
    AbortStep();
    return {};
  }

  Status Move(const std::string& from, const std::string& to) override {
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

  Result<std::vector<std::string>> Children(const std::string& path) override {
    auto group = tree_->OpenGroup(path);
    if (group) return group->Children();
    RETURN_IF_ERROR(AbsentIsFine(std::move(group).error()));
    return std::vector<std::string>();
  }

 private:
  static Status AbsentIsFine(Error error) {
    if (error.code == ErrorCode::kNotFound) return {};
    return tl::unexpected(std::move(error));
  }

  std::shared_ptr<const CgroupTree> tree_;
};

}  // namespace

Result<std::unique_ptr<PodCgroups>> OpenPodCgroups() {
  ASSIGN_OR_RETURN(auto tree, CgroupTree::Open());
  return std::make_unique<MachineCgroups>(std::move(tree));
}

}  // namespace catamaran

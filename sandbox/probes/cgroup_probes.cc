// Control groups: which there are, and whether a group can be made, limited and entered.
#include <fcntl.h>
#include <unistd.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/process.h"
#include "sandbox/probes/engine_probes.h"
#include "sandbox/probes/probe.h"

namespace catamaran {
namespace {

constexpr auto kRemovePatience = std::chrono::seconds(2);
constexpr char kUnifiedSetting[] =
    "boot with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all; until then set failCgroupV1: "
    "false in the kubelet's configuration";

Result<Finding> TryLayout() {
  ASSIGN_OR_RETURN(const auto tree, CgroupTree::Open());
  if (tree->kind() == CgroupTree::Kind::kUnified) return Works("cgroup v2");
  const auto count = std::count_if(tree->hierarchies().begin(), tree->hierarchies().end(),
                                   [](const auto& hierarchy) { return !hierarchy.v2; });
  std::string seen = fmt::format("cgroup v1, {} hierarchies", count);
  if (const auto* unified = tree->Unified())
    seen += fmt::format(", with v2 beside it for {}",
                        unified->controllers.empty()
                            ? "no controller"
                            : fmt::format("{}", fmt::join(unified->controllers, ", ")));
  return Finding{"", FindingStatus::kDegraded, seen,
                 "pods run, but the kubelet refuses cgroup v1 since 1.35 unless it is told not to, "
                 "and there is no memory QoS",
                 kUnifiedSetting};
}

struct Controller {
  const char* name;
  const char* name_v1;
  bool needed;  // by every kubelet
  bool only_v1 = false;
};
// devices and freezer are part of cgroup v2 itself, also where it lies beside v1.
constexpr Controller kControllers[] = {
    {"cpu", "cpu", true},   {"cpuset", "cpuset", true},         {"memory", "memory", true},
    {"pids", "pids", true}, {"devices", "devices", true, true}, {"freezer", "freezer", true, true},
    {"io", "blkio", false}, {"hugetlb", "hugetlb", false}};

Result<Finding> TryControllers() {
  ASSIGN_OR_RETURN(const auto tree, CgroupTree::Open());
  std::vector<std::string> there, absent, needed;
  for (const auto& controller : kControllers) {
    const auto* found = tree->WithController(controller.name);
    if (found == nullptr) found = tree->WithController(controller.name_v1);
    if (found == nullptr && controller.only_v1 && tree->Unified() != nullptr) continue;
    if (found != nullptr) {
      there.push_back(fmt::format("{} v{}", controller.name, found->v2 ? 2 : 1));
    } else {
      (controller.needed ? needed : absent).push_back(controller.name);
    }
  }
  const std::string seen = fmt::format("{}", fmt::join(there, ", "));
  if (needed.empty() && absent.empty()) return Works(seen);
  const auto& worst = needed.empty() ? absent : needed;
  return Finding{
      "", needed.empty() ? FindingStatus::kDegraded : FindingStatus::kMissing,
      fmt::format("no {}; {}", fmt::join(worst, ", "), seen),
      needed.empty() ? "pods with limits of that kind are refused"
                     : "limits of that kind cannot be kept, and the kubelet will not start",
      fmt::format("boot with cgroup_enable={}, and without cgroup_disable= of it", worst.front())};
}

spec::Resources LimitsOn(const CgroupTree& tree) {
  spec::Resources limits;
  if (tree.WithController("cpu") != nullptr) {
    limits.set_cpu_period_us(100'000);
    limits.set_cpu_quota_us(100'000);
  }
  if (tree.WithController("memory") != nullptr) limits.set_memory_limit_bytes(256 << 20);
  if (tree.WithController("pids") != nullptr) limits.set_pids_limit(64);
  return limits;
}

Result<Finding> TryGroup(const std::string& path) {
  ASSIGN_OR_RETURN(const auto tree, CgroupTree::Open());
  ASSIGN_OR_RETURN(const Cgroup group, tree->Create(path));
  RETURN_IF_ERROR(group.Apply(LimitsOn(*tree)));
  RETURN_IF_ERROR(group.Attach(0));
  ASSIGN_OR_RETURN(const auto processes, group.Processes(Cgroup::Depth::kGroup));
  if (std::find(processes.begin(), processes.end(), getpid()) == processes.end())
    return Fail(ErrorCode::kInternal, "{} does not show the process that entered it", path);
  return Works(fmt::format("{}: made, limited and entered in {} hierarchies", path,
                           tree->hierarchies().size()));
}

Result<Finding> TryDevices(const std::string& path) {
  ASSIGN_OR_RETURN(const auto tree, CgroupTree::Open());
  ASSIGN_OR_RETURN(const Cgroup group, tree->Create(path));
  RETURN_IF_ERROR(group.Attach(0));
  RETURN_IF_ERROR(group.AllowOnlyDevices({{DeviceRule::Type::kCharacter, 1, 3, true, true, true}}));
  RETURN_IF_ERROR(OpenFile("/dev/null", O_RDWR).map([](const UniqueFd&) {}));
  if (auto zero = OpenFile("/dev/zero", O_RDONLY); zero || zero.error().system_errno != EPERM)
    return Fail(ErrorCode::kInternal, "a device that is not allowed opens all the same");
  return Works(tree->WithController("devices") != nullptr ? "devices.deny keeps /dev/zero away"
                                                          : "a BPF program keeps /dev/zero away");
}

Result<Finding> TryCloneIntoGroup(const std::string& path) {
  ASSIGN_OR_RETURN(const auto tree, CgroupTree::Open());
  ASSIGN_OR_RETURN(const Cgroup group, tree->Create(path));
  ASSIGN_OR_RETURN(const ChildProcess child,
                   CloneProcess({.cgroup_fd = group.clone_fd()}, [] { return pause(); }));
  const auto processes = group.Processes(Cgroup::Depth::kGroup);
  RETURN_IF_ERROR(KillAndReap(child.pidfd.get()));
  if (!processes || std::find(processes->begin(), processes->end(), child.pid) == processes->end())
    return Fail(ErrorCode::kInternal, "the process is not in its group");
  return Works("CLONE_INTO_CGROUP");
}

std::vector<std::string> WordsOf(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// Removes the groups that a probe made, and those above it that it had to make, and takes back the
// controllers that were passed on for it at the top.
class GroupRemover {
 public:
  explicit GroupRemover(const std::string& path) : path_(path) {
    auto tree = CgroupTree::Open();
    if (!tree) return;
    for (auto end = path.rfind('/'); end != 0 && end != std::string::npos;
         end = path.rfind('/', end - 1)) {
      if (!(*tree)->Exists(path.substr(0, end))) made_above_.push_back(path.substr(0, end));
    }
    passed_on_ = PassedOn(**tree);
  }

  void operator()() const {
    auto tree = CgroupTree::Open();
    if (!tree) return;
    if (auto group = (*tree)->OpenGroup(path_))
      (void)group->Remove(Deadline::After(kRemovePatience));
    for (const auto& above : made_above_)
      for (const auto& hierarchy : (*tree)->hierarchies())
        unlinkat(hierarchy.root.get(), above.c_str() + 1, AT_REMOVEDIR);
    for (const auto& word : PassedOn(**tree))
      if (std::find(passed_on_.begin(), passed_on_.end(), word) == passed_on_.end())
        (void)WriteExistingAt((*tree)->Unified()->root.get(), "cgroup.subtree_control", "-" + word);
  }

 private:
  static std::vector<std::string> PassedOn(const CgroupTree& tree) {
    if (tree.Unified() == nullptr) return {};
    return WordsOf(ReadFileAt(tree.Unified()->root.get(), "cgroup.subtree_control").value_or(""));
  }

  std::string path_;
  std::vector<std::string> made_above_;  // deepest first
  std::vector<std::string> passed_on_;
};

}  // namespace

void ProbeCgroups(const std::string& cgroup, const ProbeRunner& run) {
  const Finding layout = run({.name = "cgroups",
                              .meaning = "no pod starts",
                              .remedy = "mount -t cgroup2 none /sys/fs/cgroup",
                              .run = TryLayout});
  // What follows would only say the same again.
  if (layout.status == FindingStatus::kMissing) return;
  run({.name = "cgroup controllers",
       .meaning = "no pod starts",
       .remedy = "mount -t cgroup2 none /sys/fs/cgroup",
       .run = TryControllers});
  const GroupRemover remover(cgroup);
  run({.name = "pod cgroup",
       .meaning = "no pod starts",
       .remedy = "mount /sys/fs/cgroup read-write for the daemon, with Delegate=yes in "
                 "its unit; no process may sit in a group above cgroup_root",
       .run = [&] { return TryGroup(cgroup); },
       .clean_up = remover});
  run({.name = "device limits",
       .meaning = "no container starts: it would have every device of this host",
       .remedy = "a kernel with CONFIG_CGROUP_BPF (cgroup v2) or CONFIG_CGROUP_DEVICE "
                 "(v1), and CAP_BPF or CAP_SYS_ADMIN for the daemon",
       .run = [&] { return TryDevices(cgroup); },
       .clean_up = remover});
  const auto tree = CgroupTree::Open();
  if (!tree || (*tree)->kind() != CgroupTree::Kind::kUnified) return;
  run({.name = "clone into cgroup",
       .meaning = "no container starts",
       .remedy = "Linux 5.15 or newer; let the seccomp filter around the daemon allow "
                 "clone3 with CLONE_INTO_CGROUP",
       .run = [&] { return TryCloneIntoGroup(cgroup); },
       .clean_up = remover});
}

}  // namespace catamaran

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/cgroup_files.h"

namespace catamaran {
namespace {

// Every controller of v1 (Documentation/admin-guide/cgroup-v1): a mount is named by what it holds.
constexpr std::array kLegacyControllers = {
    "cpu",  "cpuacct", "cpuset",   "memory",  "devices", "freezer",    "blkio",
    "pids", "net_cls", "net_prio", "hugetlb", "rdma",    "perf_event", "misc"};
// What is passed on to the groups below on v2; the others have no limit that a spec could name.
constexpr std::array kPassedOn = {"cpuset", "cpu", "io", "memory", "hugetlb", "pids"};

constexpr size_t kLongestPath = 3000;
constexpr size_t kLongestName = 255;

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

Result<std::vector<std::string>> SplitPath(const std::string& path) {
  const auto refuse = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument, "cgroup path \"{}\": {}", path, why);
  };
  if (path.empty() || path[0] != '/') return refuse("must start with /");
  if (path.size() > kLongestPath) return refuse("is too long");
  auto parts = Split(std::string_view(path).substr(1), '/');
  for (const auto& part : parts) {
    if (part.empty()) return refuse("has an empty part");
    if (part == "." || part == "..") return refuse("must not hold . or ..");
    if (part.size() > kLongestName) return refuse("has a part of more than 255 bytes");
    if (std::any_of(part.begin(), part.end(), [](unsigned char c) { return c <= ' ' || c == 127; }))
      return refuse("holds a space or a control character");
  }
  return parts;
}

bool IsLegacyMountName(const std::vector<std::string>& words) {
  return std::all_of(words.begin(), words.end(), [](const std::string& word) {
    return std::find(kLegacyControllers.begin(), kLegacyControllers.end(), word) !=
           kLegacyControllers.end();
  });
}

Result<UniqueFd> OpenDirectory(int parent, const std::string& name) {
  return OpenFileAt(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Result<CgroupHierarchy> UnifiedAt(UniqueFd root, std::string mount) {
  ASSIGN_OR_RETURN(auto controllers, ReadCgroupFile(root.get(), "cgroup.controllers"));
  CgroupHierarchy hierarchy{true, std::move(mount), {}, std::move(root)};
  for (auto& word : Split(controllers, ' '))
    if (!word.empty()) hierarchy.controllers.push_back(std::move(word));
  return hierarchy;
}

// Lets the groups below `directory` have the controllers that it has itself. All or none: with some
// of them alone a group that holds processes becomes the root of a threaded subtree, and the groups
// below it are of no use to anybody (cgroup-v2.rst, "Threads").
Status PassControllersOn(int directory) {
  ASSIGN_OR_RETURN(const auto available, ReadCgroupFile(directory, "cgroup.controllers"));
  ASSIGN_OR_RETURN(const auto passed, ReadCgroupFile(directory, "cgroup.subtree_control"));
  const auto has = Split(available, ' ');
  const auto done = Split(passed, ' ');
  std::string missing;
  for (const char* controller : kPassedOn) {
    if (std::find(has.begin(), has.end(), controller) == has.end()) continue;
    if (std::find(done.begin(), done.end(), controller) != done.end()) continue;
    missing += fmt::format("{}+{}", missing.empty() ? "" : " ", controller);
  }
  if (missing.empty()) return {};
  RETURN_IF_ERROR(WriteExistingAt(directory, "cgroup.subtree_control", missing));
  AbortStep();
  return {};
}

// A new v1 cpuset has no CPUs and no memory nodes, and no process may enter it.
Status InheritCpuset(int parent, int child) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    ASSIGN_OR_RETURN(const auto own, ReadCgroupFile(child, file));
    if (!own.empty()) continue;
    ASSIGN_OR_RETURN(const auto inherited, ReadCgroupFile(parent, file));
    RETURN_IF_ERROR(WriteExistingAt(child, file, inherited));
    AbortStep();
  }
  return {};
}

// One step down the path, making the group where it is missing.
Result<UniqueFd> Descend(const CgroupHierarchy& hierarchy, const UniqueFd& parent,
                         const std::string& name, CgroupTree::Passing passing, Cleanup& cleanup) {
  if (hierarchy.v2 && passing == CgroupTree::Passing::kControllers)
    RETURN_IF_ERROR(PassControllersOn(parent.get()));
  if (mkdirat(parent.get(), name.c_str(), 0755) == 0) {
    const int undo_fd = fcntl(parent.get(), F_DUPFD_CLOEXEC, 0);
    cleanup.Add(
        [undo = UniqueFd(undo_fd), name] { unlinkat(undo.get(), name.c_str(), AT_REMOVEDIR); });
    AbortStep();
  } else if (errno != EEXIST) {
    return FailWithErrno("make group {}", name);
  }
  ASSIGN_OR_RETURN(auto child, OpenDirectory(parent.get(), name));
  if (hierarchy.Has("cpuset") && !hierarchy.v2)
    RETURN_IF_ERROR(InheritCpuset(parent.get(), child.get()));
  return child;
}

Result<UniqueFd> OpenPath(const CgroupHierarchy& hierarchy, const std::string& path) {
  return OpenFileAt(hierarchy.root.get(), path.substr(1), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

bool CgroupHierarchy::Has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

Result<std::shared_ptr<const CgroupTree>> CgroupTree::Open() {
  auto root = OpenFile("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);
  if (!root)
    return Fail(ErrorCode::kFailedPrecondition, "no control groups: {}", root.error().message);
  return OpenAt(std::move(*root));
}

Result<std::shared_ptr<const CgroupTree>> CgroupTree::OpenAt(UniqueFd root) {
  std::vector<CgroupHierarchy> hierarchies;
  if (faccessat(root.get(), "cgroup.controllers", F_OK, 0) == 0) {
    ASSIGN_OR_RETURN(auto unified, UnifiedAt(std::move(root), "."));
    hierarchies.push_back(std::move(unified));
    return std::shared_ptr<const CgroupTree>(
        new CgroupTree(Kind::kUnified, std::move(hierarchies)));
  }
  ASSIGN_OR_RETURN(const auto names, ListCgroupDirectories(root.get()));
  Kind kind = Kind::kLegacy;
  for (const auto& name : names) {
    ASSIGN_OR_RETURN(auto directory, OpenDirectory(root.get(), name));
    if (faccessat(directory.get(), "cgroup.controllers", F_OK, 0) == 0) {
      ASSIGN_OR_RETURN(auto unified, UnifiedAt(std::move(directory), name));
      hierarchies.push_back(std::move(unified));
      kind = Kind::kHybrid;
    } else if (faccessat(directory.get(), "cgroup.procs", F_OK, 0) == 0) {
      auto words = Split(name, ',');
      if (!IsLegacyMountName(words)) words.clear();  // a named hierarchy, such as systemd's
      hierarchies.push_back({false, name, std::move(words), std::move(directory)});
    }
  }
  if (hierarchies.empty())
    return Fail(ErrorCode::kFailedPrecondition,
                "no control groups: nothing is mounted below /sys/fs/cgroup");
  return std::shared_ptr<const CgroupTree>(new CgroupTree(kind, std::move(hierarchies)));
}

const CgroupHierarchy* CgroupTree::WithController(std::string_view controller) const {
  for (const auto& hierarchy : hierarchies_)
    if (hierarchy.Has(controller)) return &hierarchy;
  return nullptr;
}

const CgroupHierarchy* CgroupTree::Unified() const {
  for (const auto& hierarchy : hierarchies_)
    if (hierarchy.v2) return &hierarchy;
  return nullptr;
}

Result<Cgroup> CgroupTree::Create(const std::string& path, Passing passing) const {
  ASSIGN_OR_RETURN(const auto parts, SplitPath(path));
  Cleanup cleanup;
  std::vector<Cgroup::Directory> directories;
  for (const auto& hierarchy : hierarchies_) {
    UniqueFd current(fcntl(hierarchy.root.get(), F_DUPFD_CLOEXEC, 0));
    if (!current.valid()) return FailWithErrno("duplicate the root of {}", hierarchy.mount);
    for (const auto& part : parts) {
      auto next = Descend(hierarchy, current, part, passing, cleanup);
      if (!next)
        return tl::unexpected(std::move(next).error().While(
            fmt::format("make cgroup {} in hierarchy {}", path, hierarchy.mount)));
      current = std::move(*next);
    }
    directories.push_back({&hierarchy, std::move(current)});
  }
  cleanup.Dismiss();
  return Cgroup(shared_from_this(), path, std::move(directories));
}

Result<Cgroup> CgroupTree::OpenGroup(const std::string& path) const {
  RETURN_IF_ERROR(SplitPath(path));
  std::vector<Cgroup::Directory> directories;
  for (const auto& hierarchy : hierarchies_) {
    auto directory = OpenPath(hierarchy, path);
    if (directory)
      directories.push_back({&hierarchy, std::move(*directory)});
    else if (directory.error().system_errno != ENOENT)
      return tl::unexpected(std::move(directory).error().While("open cgroup"));
  }
  if (directories.empty()) return Fail(ErrorCode::kNotFound, "cgroup {} does not exist", path);
  return Cgroup(shared_from_this(), path, std::move(directories));
}

Result<std::string> CgroupTree::PathOf(pid_t process) const {
  ASSIGN_OR_RETURN(const std::string text,
                   ReadFile(fmt::format("/proc/{}/cgroup", process), 64 << 10));
  std::string path;
  for (const auto& line : Split(text, '\n')) {
    const auto fields = Split(line, ':');  // the path itself may hold more of them
    if (fields.size() < 3) continue;
    const auto controllers = Split(fields[1], ',');
    const bool has_memory =
        std::find(controllers.begin(), controllers.end(), "memory") != controllers.end();
    if (has_memory || (fields[1].empty() && path.empty()))
      path = line.substr(fields[0].size() + fields[1].size() + 2);
  }
  return path;
}

bool CgroupTree::Exists(const std::string& path) const { return OpenGroup(path).has_value(); }

}  // namespace catamaran

#include "sandbox/kernel/cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <thread>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup_files.h"
#include "sandbox/kernel/cgroup_resources.h"

namespace catamaran {
namespace {

// The kernel's words for "this value is wrong here".
bool IsRefusedValue(int error_number) {
  return error_number == EINVAL || error_number == ERANGE || error_number == EDOM ||
         error_number == EACCES || error_number == ENODEV || error_number == E2BIG ||
         error_number == EOPNOTSUPP;
}

bool IsGone(const Error& error) {
  return error.system_errno == ENOENT || error.system_errno == ENODEV;
}

// Adds the ids in this group's cgroup.procs, and with kTree those below. A group that vanishes
// meanwhile has none; a threaded one shows its processes in the group above it.
Status CollectProcesses(int directory, Cgroup::Depth depth, std::vector<pid_t>& pids) {
  const auto text = ReadCgroupFile(directory, "cgroup.procs");
  if (!text) {
    if (IsGone(text.error()) || text.error().system_errno == EOPNOTSUPP) return {};
    return tl::unexpected(text.error());
  }
  const char* at = text->data();
  const char* end = at + text->size();
  while (at < end) {
    pid_t pid = 0;
    at = std::from_chars(at, end, pid).ptr;
    if (pid > 0) pids.push_back(pid);  // 0: a process outside our pid namespace
    while (at < end && (*at < '0' || *at > '9')) ++at;
  }
  if (depth == Cgroup::Depth::kGroup) return {};
  auto names = ListCgroupDirectories(directory);
  if (!names) return IsGone(names.error()) ? Status() : tl::unexpected(names.error());
  for (const auto& name : *names) {
    auto child = OpenFileAt(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!child && IsGone(child.error())) continue;
    if (!child) return tl::unexpected(std::move(child).error());
    RETURN_IF_ERROR(CollectProcesses(child->get(), depth, pids));
  }
  return {};
}

// A killed process leaves its group a moment after it is reaped. cgroup v2 tells
// (cgroup.events), v1 does not.
void WaitUntilEmptier(int directory, bool v2, Deadline deadline) {
  constexpr std::chrono::milliseconds kLongest(20);
  const auto wait = std::min(deadline.Remaining(), kLongest);
  if (v2) {
    auto events = OpenFileAt(directory, "cgroup.events", O_RDONLY);
    if (events && ReadAll(events->get(), 4096)) {
      pollfd poll_fd{events->get(), POLLPRI, 0};
      poll(&poll_fd, 1, static_cast<int>(wait.count()));
      return;
    }
  }
  std::this_thread::sleep_for(std::min(wait, std::chrono::milliseconds(2)));
}

Status RemoveDirectory(int parent, const std::string& name, bool v2, Deadline deadline) {
  while (true) {
    auto directory = OpenFileAt(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!directory) {
      if (IsGone(directory.error())) return {};
      return tl::unexpected(std::move(directory).error());
    }
    auto names = ListCgroupDirectories(directory->get());
    if (!names && !IsGone(names.error())) return tl::unexpected(names.error());
    if (names)
      for (const auto& child : *names)
        RETURN_IF_ERROR(RemoveDirectory(directory->get(), child, v2, deadline));
    if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0) {
      AbortStep();
      return {};
    }
    if (errno == ENOENT || errno == ENODEV) return {};
    if (errno != EBUSY && errno != ENOTEMPTY) return FailWithErrno("remove group {}", name);
    if (deadline.expired())
      return Fail(ErrorCode::kFailedPrecondition, "group {} still has processes", name);
    WaitUntilEmptier(directory->get(), v2, deadline);
  }
}

bool SameDirectory(int first, int second) {
  struct stat a, b;
  return fstat(first, &a) == 0 && fstat(second, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

}  // namespace

int Cgroup::DirectoryOf(std::string_view controller) const {
  for (const auto& directory : directories_)
    if (directory.hierarchy->Has(controller)) return directory.fd.get();
  return -1;
}

const Cgroup::Directory* Cgroup::Unified() const {
  for (const auto& directory : directories_)
    if (directory.hierarchy->v2) return &directory;
  return nullptr;
}

int Cgroup::clone_fd() const { return Unified() != nullptr ? Unified()->fd.get() : -1; }

Status Cgroup::Attach(pid_t pid) const {
  for (const auto& directory : directories_) {
    auto moved = WriteExistingAt(directory.fd.get(), "cgroup.procs", std::to_string(pid));
    if (!moved)
      return tl::unexpected(std::move(moved).error().While(fmt::format(
          "move process {} to cgroup {} ({})", pid, path_, directory.hierarchy->mount)));
    AbortStep();
  }
  return {};
}

Status Cgroup::Apply(const spec::Resources& resources) const {
  CgroupView view;
  view.version = [&](std::string_view controller) {
    for (const auto& directory : directories_)
      if (directory.hierarchy->Has(controller))
        return directory.hierarchy->v2 ? CgroupView::Version::kV2 : CgroupView::Version::kV1;
    return CgroupView::Version::kNone;
  };
  view.read = [&](std::string_view controller, const std::string& file) {
    auto text = ReadCgroupFile(DirectoryOf(controller), file);
    return text ? std::optional(std::move(*text)) : std::nullopt;
  };
  ASSIGN_OR_RETURN(const auto writes, PlanResources(resources, view));
  for (const auto& write : writes) {
    auto written = WriteExistingAt(DirectoryOf(write.controller), write.file, write.value);
    if (written) {
      AbortStep();
      continue;
    }
    Error error = std::move(written).error();
    if (IsRefusedValue(error.system_errno)) {
      error.code = ErrorCode::kInvalidArgument;
      error.message = fmt::format("{} \"{}\": the kernel refuses this value: {}", write.field,
                                  write.value, error.message);
    } else if (error.system_errno == ENOENT) {
      error.code = ErrorCode::kFailedPrecondition;
    }
    return tl::unexpected(std::move(error).While("limit cgroup " + path_));
  }
  return {};
}

Status Cgroup::AllowOnlyDevices(const std::vector<DeviceRule>& allowed) const {
  if (const int directory = DirectoryOf("devices"); directory >= 0) {
    RETURN_IF_ERROR(WriteExistingAt(directory, "devices.deny", "a"));
    for (const auto& rule : allowed)
      RETURN_IF_ERROR(WriteExistingAt(directory, "devices.allow", DeviceRuleText(rule)));
    return {};
  }
  if (Unified() == nullptr)
    return Fail(ErrorCode::kFailedPrecondition, "this machine has no devices controller");
  ASSIGN_OR_RETURN(const auto program, CompileDeviceProgram(allowed));
  return AttachDeviceProgram(Unified()->fd.get(), program);
}

Status Cgroup::Remove(Deadline deadline) {
  for (const auto& directory : directories_) {
    const std::filesystem::path relative = path_.substr(1);
    const std::string above = relative.has_parent_path() ? relative.parent_path().string() : ".";
    auto parent = OpenFileAt(directory.hierarchy->root.get(), above, O_RDONLY | O_DIRECTORY);
    if (!parent) {
      if (IsGone(parent.error())) continue;
      return tl::unexpected(std::move(parent).error());
    }
    const std::string name = relative.filename().string();
    auto now = OpenFileAt(parent->get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    // Somebody else's new group of the same name is not ours to remove.
    if (!now || !SameDirectory(now->get(), directory.fd.get())) continue;
    auto removed = RemoveDirectory(parent->get(), name, directory.hierarchy->v2, deadline);
    if (!removed)
      return tl::unexpected(std::move(removed).error().While(
          fmt::format("remove cgroup {} ({})", path_, directory.hierarchy->mount)));
  }
  directories_.clear();
  return {};
}

Result<std::vector<std::string>> Cgroup::Children() const {
  std::vector<std::string> all;
  for (const auto& directory : directories_) {
    auto names = ListCgroupDirectories(directory.fd.get());
    if (!names && IsGone(names.error())) continue;
    if (!names) return tl::unexpected(names.error());
    all.insert(all.end(), names->begin(), names->end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Result<std::vector<pid_t>> Cgroup::Processes(Depth depth) const {
  std::vector<pid_t> pids;
  for (const auto& directory : directories_)
    RETURN_IF_ERROR(CollectProcesses(directory.fd.get(), depth, pids));
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

}  // namespace catamaran

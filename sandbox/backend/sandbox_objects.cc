#include "sandbox/backend/sandbox_objects.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/container/id_maps.h"
#include "sandbox/container/plan_mounts.h"
#include "sandbox/container/rootfs.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kPatience(20);

}  // namespace

Status WriteSandboxFiles(const spec::SandboxSpec& sandbox) {
  RETURN_IF_ERROR(MakeDirectories(sandbox.state_directory(), 0700));
  RETURN_IF_ERROR(MakeDirectories(sandbox.state_directory() + "/files", 0700));
  AbortStep();
  for (int i = 0; i < sandbox.files_size(); ++i) {
    const auto& file = sandbox.files(i);
    const mode_t mode = file.mode() == 0 ? 0644 : file.mode() & 0777;
    ASSIGN_OR_RETURN(auto made, OpenFile(SandboxFilePath(sandbox, i),
                                         O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode));
    // open(2) takes the umask off.
    if (fchmod(made.get(), mode) != 0)
      return FailWithErrno("chmod {}", SandboxFilePath(sandbox, i));
    // The root of a user namespace may change them like any other.
    if (fchown(made.get(), OutsideId(sandbox.user_namespace().uids(), 0).value_or(0),
               OutsideId(sandbox.user_namespace().gids(), 0).value_or(0)) != 0)
      return FailWithErrno("chown {}", SandboxFilePath(sandbox, i));
    RETURN_IF_ERROR(WriteAll(made.get(), file.content()));
    AbortStep();
  }
  RETURN_IF_ERROR(RootfsBuilder::MakeScratchFolders(sandbox.state_directory() + "/mounts"));
  AbortStep();
  return {};
}

Status RemoveSandboxGroups(const CgroupTree& tree, const std::string& path) {
  auto pod = tree.OpenGroup(path);
  if (!pod) {
    if (pod.error().code == ErrorCode::kNotFound) return {};
    return tl::unexpected(std::move(pod).error());
  }
  const Deadline deadline = Deadline::After(kPatience);
  ASSIGN_OR_RETURN(const auto names, pod->Children());
  bool shim_lives = false;
  for (const auto& name : names) {
    ASSIGN_OR_RETURN(auto group, tree.OpenGroup(path + "/" + name));
    ASSIGN_OR_RETURN(const auto processes, group.Processes(Cgroup::Depth::kTree));
    if (name == "shim" && !processes.empty()) {
      shim_lives = true;
      continue;
    }
    RETURN_IF_ERROR(group.KillAll(deadline));
    RETURN_IF_ERROR(group.Remove(deadline));
  }
  ASSIGN_OR_RETURN(const auto own, pod->Processes(Cgroup::Depth::kGroup));
  if (shim_lives || !own.empty()) return {};
  return pod->Remove(deadline);
}

Status FreezeGroups(const CgroupTree& tree, const std::vector<std::string>& paths, bool freeze) {
  const Deadline deadline = Deadline::After(kPatience);
  for (const auto& path : paths) {
    ASSIGN_OR_RETURN(auto group, tree.OpenGroup(path));
    RETURN_IF_ERROR(freeze ? group.Freeze(deadline) : group.Thaw(deadline));
  }
  return {};
}

}  // namespace catamaran

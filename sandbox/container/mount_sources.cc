// What is mounted is opened before where it is mounted, and before anything is: the mounts of one
// container cannot change what a later one of them takes (CVE-2021-30465).
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/container/mount_steps.h"
#include "sandbox/container/relabel.h"
#include "sandbox/kernel/mounts.h"

namespace catamaran {
namespace {

// The machine's /dev/null, verified: a link in its place is how CVE-2025-31133 works.
Result<UniqueFd> OpenNullDevice() {
  ASSIGN_OR_RETURN(auto device, OpenFile("/dev/null", O_RDWR | O_NOFOLLOW));
  struct stat status;
  if (fstat(device.get(), &status) != 0) return FailWithErrno("stat /dev/null");
  if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3))
    return Fail(ErrorCode::kFailedPrecondition, "/dev/null is not the null device");
  return device;
}

Status CheckPropagation(const PlannedMount& mount) {
  if (mount.propagation == spec::PRIVATE) return {};
  ASSIGN_OR_RETURN(auto source, OpenFile(mount.source, O_PATH));
  ASSIGN_OR_RETURN(const PropagationOf propagation, ReadPropagation(source.get()));
  if (mount.propagation == spec::BIDIRECTIONAL && !propagation.shared)
    return Fail(ErrorCode::kFailedPrecondition,
                "propagation BIDIRECTIONAL needs \"{}\" to be on a shared mount", mount.source);
  if (!propagation.shared && !propagation.slave)
    return Fail(ErrorCode::kFailedPrecondition,
                "propagation HOST_TO_CONTAINER needs \"{}\" to be on a shared or slave mount",
                mount.source);
  return {};
}

Status SetPropagationOf(const PlannedMount& mount, int mount_fd) {
  if (mount.propagation == spec::BIDIRECTIONAL) return {};  // stays in the host's peer group
  return SetMountPropagation(mount_fd,
                             mount.propagation == spec::HOST_TO_CONTAINER ? MS_SLAVE : MS_PRIVATE,
                             Recursion::kRecursive);
}

}  // namespace

Status MountSteps::OpenSource(const PlannedMount& mount, UniqueFd& source) {
  if (mount.kind != MountKind::kBind) return {};
  // A folder that is missing is made, as containerd and docker do.
  if (!mount.field.empty() && access(mount.source.c_str(), F_OK) != 0 && errno == ENOENT)
    RETURN_IF_ERROR(MakeDirectories(mount.source, 0755));
  if (!mount.label.empty()) RETURN_IF_ERROR(RelabelTree(mount.source, mount.label));
  RETURN_IF_ERROR(CheckPropagation(mount));
  ASSIGN_OR_RETURN(source, CloneMount(AT_FDCWD, mount.source,
                                      mount.recursive ? Recursion::kRecursive : Recursion::kOne));
  RETURN_IF_ERROR(MapIds(mount, source.get()));
  return SetPropagationOf(mount, source.get());
}

Status MountSteps::OpenSources() {
  ASSIGN_OR_RETURN(null_, OpenNullDevice());
  for (const auto& mount : plan_.mounts) {
    auto opened = OpenSource(mount, sources_.emplace_back());
    if (!opened) return tl::unexpected(std::move(opened).error().While(DescribeMount(mount)));
  }
  return {};
}

UniqueFd MountSteps::TakeSource(size_t number) { return std::move(sources_[number]); }

}  // namespace catamaran
